// The stiff problems of tests/support/stiff_problems.py solved by CVODES as its manual has it: right-hand
// sides and Jacobians written by hand, dense matrices, BDF.
//
//     cvodes_by_hand PROBLEM RTOL SECONDS < "y0... | p... | times... | atol..."
//
// prints the median of the solutions' seconds, the steps of one, and y at each time.
#include <cvodes/cvodes.h>
#include <nvector/nvector_serial.h>
#include <sunlinsol/sunlinsol_dense.h>
#include <sunmatrix/sunmatrix_dense.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Numbers = std::vector<double>;

/// Rates d[n] of y[n] with the parameters k, and the Jacobian j(row, column), which comes filled with zeros.
struct Problem {
  const char* name;
  void (*rates)(const double* y, const double* k, double* d, int n);
  void (*jacobian)(const double* y, const double* k, SUNMatrix matrix, int n);
};

struct Matrix {
  SUNMatrix matrix;
  double& operator()(int row, int column) const { return SM_ELEMENT_D(matrix, row, column); }
};

const Problem kProblems[] = {
    {"ROBER",
     [](const double* y, const double* k, double* d, int) {
       const double a = k[0] * y[0], b = k[1] * y[1] * y[1], c = k[2] * y[1] * y[2];
       d[0] = c - a;
       d[1] = a - b - c;
       d[2] = b;
     },
     [](const double* y, const double* k, SUNMatrix matrix, int) {
       const Matrix j{matrix};
       const double b1 = 2 * k[1] * y[1], c1 = k[2] * y[2], c2 = k[2] * y[1];
       j(0, 0) = -k[0];
       j(0, 1) = c1;
       j(0, 2) = c2;
       j(1, 0) = k[0];
       j(1, 1) = -b1 - c1;
       j(1, 2) = -c2;
       j(2, 1) = b1;
     }},
    {"OREGO",
     [](const double* y, const double* p, double* d, int) {
       d[0] = p[0] * (y[1] + y[0] * (1 - p[1] * y[0] - y[1]));
       d[1] = (y[2] - (1 + y[0]) * y[1]) / p[0];
       d[2] = p[2] * (y[0] - y[2]);
     },
     [](const double* y, const double* p, SUNMatrix matrix, int) {
       const Matrix j{matrix};
       j(0, 0) = p[0] * (1 - 2 * p[1] * y[0] - y[1]);
       j(0, 1) = p[0] * (1 - y[0]);
       j(1, 0) = -y[1] / p[0];
       j(1, 1) = -(1 + y[0]) / p[0];
       j(1, 2) = 1 / p[0];
       j(2, 0) = p[2];
       j(2, 2) = -p[2];
     }},
    {"HIRES",
     [](const double* y, const double* p, double* d, int) {
       const double r = p[0] * y[5] * y[7];
       d[0] = -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + p[1];
       d[1] = 1.71 * y[0] - 8.75 * y[1];
       d[2] = -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4];
       d[3] = 8.32 * y[1] + 1.71 * y[2] - p[2] * y[3];
       d[4] = -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6];
       d[5] = -r + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6];
       d[6] = r - 1.81 * y[6];
       d[7] = -r + 1.81 * y[6];
     },
     [](const double* y, const double* p, SUNMatrix matrix, int) {
       const Matrix j{matrix};
       const double r5 = p[0] * y[7], r7 = p[0] * y[5];
       j(0, 0) = -1.71;
       j(0, 1) = 0.43;
       j(0, 2) = 8.32;
       j(1, 0) = 1.71;
       j(1, 1) = -8.75;
       j(2, 2) = -10.03;
       j(2, 3) = 0.43;
       j(2, 4) = 0.035;
       j(3, 1) = 8.32;
       j(3, 2) = 1.71;
       j(3, 3) = -p[2];
       j(4, 4) = -1.745;
       j(4, 5) = 0.43;
       j(4, 6) = 0.43;
       j(5, 3) = 0.69;
       j(5, 4) = 1.71;
       j(5, 5) = -r5 - 0.43;
       j(5, 6) = 0.69;
       j(5, 7) = -r7;
       j(6, 5) = r5;
       j(6, 6) = -1.81;
       j(6, 7) = r7;
       j(7, 5) = -r5;
       j(7, 6) = 1.81;
       j(7, 7) = -r7;
     }},
    {"VDPOL",
     [](const double* y, const double* p, double* d, int) {
       d[0] = p[1] * y[1];
       d[1] = p[0] * ((1 - y[0] * y[0]) * y[1] - y[0]);
     },
     [](const double* y, const double* p, SUNMatrix matrix, int) {
       const Matrix j{matrix};
       j(0, 1) = p[1];
       j(1, 0) = p[0] * (-2 * y[0] * y[1] - 1);
       j(1, 1) = p[0] * (1 - y[0] * y[0]);
     }},
    {"E5",
     [](const double* y, const double* p, double* d, int) {
       const double a = p[0] * y[0], b = p[1] * y[0] * y[1], c = p[2] * y[2],
                    mc = p[3] * (y[1] + y[2]) * y[1];
       d[0] = -a - b;
       d[1] = (a - mc) - (b - c);
       d[2] = b - c;
     },
     [](const double* y, const double* p, SUNMatrix matrix, int) {
       const Matrix j{matrix};
       const double b0 = p[1] * y[1], b1 = p[1] * y[0];
       j(0, 0) = -p[0] - b0;
       j(0, 1) = -b1;
       j(1, 0) = p[0] - b0;
       j(1, 1) = -p[3] * (2 * y[1] + y[2]) - b1;
       j(1, 2) = -p[3] * y[1] + p[2];
       j(2, 0) = b0;
       j(2, 1) = b1;
       j(2, 2) = -p[2];
     }},
    {"POLLU",
     [](const double* y, const double* k, double* d, int) {
       const double r1 = k[0] * y[0], r2 = k[1] * y[1] * y[3], r3 = k[2] * y[4] * y[1], r4 = k[3] * y[6],
                    r5 = k[4] * y[6], r6 = k[5] * y[6] * y[5], r7 = k[6] * y[8], r8 = k[7] * y[8] * y[5],
                    r9 = k[8] * y[10] * y[1], r10 = k[9] * y[10] * y[0], r11 = k[10] * y[12],
                    r12 = k[11] * y[9] * y[1], r13 = k[12] * y[13], r14 = k[13] * y[0] * y[5],
                    r15 = k[14] * y[2], r16 = k[15] * y[3], r17 = k[16] * y[3], r18 = k[17] * y[15],
                    r19 = k[18] * y[15], r20 = k[19] * y[16] * y[5], r21 = k[20] * y[18], r22 = k[21] * y[18],
                    r23 = k[22] * y[0] * y[3], r24 = k[23] * y[18] * y[0], r25 = k[24] * y[19];
       d[0] = -r1 - r10 - r14 - r23 - r24 + r2 + r3 + r9 + r11 + r12 + r22 + r25;
       d[1] = -r2 - r3 - r9 - r12 + r1 + r21;
       d[2] = -r15 + r1 + r17 + r19 + r22;
       d[3] = -r2 - r16 - r17 - r23 + r15;
       d[4] = -r3 + 2 * r4 + r6 + r7 + r13 + r20;
       d[5] = -r6 - r8 - r14 - r20 + r3 + 2 * r18;
       d[6] = -r4 - r5 - r6 + r13;
       d[7] = r4 + r5 + r6 + r7;
       d[8] = -r7 - r8;
       d[9] = -r12 + r7 + r9;
       d[10] = -r9 - r10 + r8 + r11;
       d[11] = r9;
       d[12] = -r11 + r10;
       d[13] = -r13 + r12;
       d[14] = r14;
       d[15] = -r18 - r19 + r16;
       d[16] = -r20;
       d[17] = r20;
       d[18] = -r21 - r22 - r24 + r23 + r25;
       d[19] = -r25 + r24;
     },
     [](const double* y, const double* k, SUNMatrix matrix, int) {
       const Matrix j{matrix};
       const double d1_0 = k[0], d2_1 = k[1] * y[3], d2_3 = k[1] * y[1], d3_4 = k[2] * y[1],
                    d3_1 = k[2] * y[4], d4_6 = k[3], d5_6 = k[4], d6_6 = k[5] * y[5], d6_5 = k[5] * y[6],
                    d7_8 = k[6], d8_8 = k[7] * y[5], d8_5 = k[7] * y[8], d9_10 = k[8] * y[1],
                    d9_1 = k[8] * y[10], d10_10 = k[9] * y[0], d10_0 = k[9] * y[10], d11_12 = k[10],
                    d12_9 = k[11] * y[1], d12_1 = k[11] * y[9], d13_13 = k[12], d14_0 = k[13] * y[5],
                    d14_5 = k[13] * y[0], d15_2 = k[14], d16_3 = k[15], d17_3 = k[16], d18_15 = k[17],
                    d19_15 = k[18], d20_16 = k[19] * y[5], d20_5 = k[19] * y[16], d21_18 = k[20],
                    d22_18 = k[21], d23_0 = k[22] * y[3], d23_3 = k[22] * y[0], d24_18 = k[23] * y[0],
                    d24_0 = k[23] * y[18], d25_19 = k[24];
       j(0, 0) = -d1_0 - d10_0 - d14_0 - d23_0 - d24_0;
       j(0, 1) = d2_1 + d3_1 + d9_1 + d12_1;
       j(0, 3) = -d23_3 + d2_3;
       j(0, 4) = d3_4;
       j(0, 5) = -d14_5;
       j(0, 9) = d12_9;
       j(0, 10) = -d10_10 + d9_10;
       j(0, 12) = d11_12;
       j(0, 18) = -d24_18 + d22_18;
       j(0, 19) = d25_19;
       j(1, 0) = d1_0;
       j(1, 1) = -d2_1 - d3_1 - d9_1 - d12_1;
       j(1, 3) = -d2_3;
       j(1, 4) = -d3_4;
       j(1, 9) = -d12_9;
       j(1, 10) = -d9_10;
       j(1, 18) = d21_18;
       j(2, 0) = d1_0;
       j(2, 2) = -d15_2;
       j(2, 3) = d17_3;
       j(2, 15) = d19_15;
       j(2, 18) = d22_18;
       j(3, 0) = -d23_0;
       j(3, 1) = -d2_1;
       j(3, 2) = d15_2;
       j(3, 3) = -d2_3 - d16_3 - d17_3 - d23_3;
       j(4, 1) = -d3_1;
       j(4, 4) = -d3_4;
       j(4, 5) = d6_5 + d20_5;
       j(4, 6) = 2 * d4_6 + d6_6;
       j(4, 8) = d7_8;
       j(4, 13) = d13_13;
       j(4, 16) = d20_16;
       j(5, 0) = -d14_0;
       j(5, 1) = d3_1;
       j(5, 4) = d3_4;
       j(5, 5) = -d6_5 - d8_5 - d14_5 - d20_5;
       j(5, 6) = -d6_6;
       j(5, 8) = -d8_8;
       j(5, 15) = 2 * d18_15;
       j(5, 16) = -d20_16;
       j(6, 5) = -d6_5;
       j(6, 6) = -d4_6 - d5_6 - d6_6;
       j(6, 13) = d13_13;
       j(7, 5) = d6_5;
       j(7, 6) = d4_6 + d5_6 + d6_6;
       j(7, 8) = d7_8;
       j(8, 5) = -d8_5;
       j(8, 8) = -d7_8 - d8_8;
       j(9, 1) = -d12_1 + d9_1;
       j(9, 8) = d7_8;
       j(9, 9) = -d12_9;
       j(9, 10) = d9_10;
       j(10, 0) = -d10_0;
       j(10, 1) = -d9_1;
       j(10, 5) = d8_5;
       j(10, 8) = d8_8;
       j(10, 10) = -d9_10 - d10_10;
       j(10, 12) = d11_12;
       j(11, 1) = d9_1;
       j(11, 10) = d9_10;
       j(12, 0) = d10_0;
       j(12, 10) = d10_10;
       j(12, 12) = -d11_12;
       j(13, 1) = d12_1;
       j(13, 9) = d12_9;
       j(13, 13) = -d13_13;
       j(14, 0) = d14_0;
       j(14, 5) = d14_5;
       j(15, 3) = d16_3;
       j(15, 15) = -d18_15 - d19_15;
       j(16, 5) = -d20_5;
       j(16, 16) = -d20_16;
       j(17, 5) = d20_5;
       j(17, 16) = d20_16;
       j(18, 0) = -d24_0 + d23_0;
       j(18, 3) = d23_3;
       j(18, 18) = -d21_18 - d22_18 - d24_18;
       j(18, 19) = d25_19;
       j(19, 0) = d24_0;
       j(19, 18) = d24_18;
       j(19, 19) = -d25_19;
     }},
    {"BRUSS",
     [](const double* y, const double* p, double* d, int n) {
       const int m = n / 2;
       const double *u = y, *v = y + m, stiffness = p[2] * (m + 1) * (m + 1);
       for (int i = 0; i < m; ++i) {
         const double u_left = i > 0 ? u[i - 1] : 1, u_right = i < m - 1 ? u[i + 1] : 1;
         const double v_left = i > 0 ? v[i - 1] : 3, v_right = i < m - 1 ? v[i + 1] : 3;
         const double uuv = u[i] * u[i] * v[i];
         d[i] = p[0] + uuv - (p[1] + 1) * u[i] + stiffness * (u_left - 2 * u[i] + u_right);
         d[m + i] = p[1] * u[i] - uuv + stiffness * (v_left - 2 * v[i] + v_right);
       }
     },
     [](const double* y, const double* p, SUNMatrix matrix, int n) {
       const Matrix j{matrix};
       const int m = n / 2;
       const double *u = y, *v = y + m, stiffness = p[2] * (m + 1) * (m + 1);
       for (int i = 0; i < m; ++i) {
         const double by_u = 2 * u[i] * v[i], by_v = u[i] * u[i];
         j(i, i) = by_u - (p[1] + 1) - 2 * stiffness;
         j(i, m + i) = by_v;
         j(m + i, i) = p[1] - by_u;
         j(m + i, m + i) = -by_v - 2 * stiffness;
         for (int next : {i - 1, i + 1})
           if (next >= 0 && next < m) j(i, next) = j(m + i, m + next) = stiffness;
       }
     }},
};

struct Case {
  const Problem* problem;
  Numbers y0, p, times, atol;
  double rtol;
};

int rates(double, N_Vector y, N_Vector d, void* user) {
  const Case& c = *static_cast<const Case*>(user);
  c.problem->rates(N_VGetArrayPointer(y), c.p.data(), N_VGetArrayPointer(d), static_cast<int>(c.y0.size()));
  return 0;
}

int jacobian(double, N_Vector y, N_Vector, SUNMatrix matrix, void* user, N_Vector, N_Vector, N_Vector) {
  const Case& c = *static_cast<const Case*>(user);
  c.problem->jacobian(N_VGetArrayPointer(y), c.p.data(), matrix, static_cast<int>(c.y0.size()));
  return 0;
}

void check(int code, const char* what) {
  if (code >= 0) return;
  std::fprintf(stderr, "%s: %d\n", what, code);
  std::exit(1);
}

/// One solution from the first call to the last; returns y at each time.
Numbers solve(Case& c, SUNContext context, long& steps) {
  const auto n = static_cast<sunindextype>(c.y0.size());
  N_Vector y = N_VNew_Serial(n, context), atol = N_VNew_Serial(n, context);
  std::copy(c.y0.begin(), c.y0.end(), N_VGetArrayPointer(y));
  std::copy(c.atol.begin(), c.atol.end(), N_VGetArrayPointer(atol));
  SUNMatrix matrix = SUNDenseMatrix(n, n, context);
  SUNLinearSolver linear = SUNLinSol_Dense(y, matrix, context);
  void* memory = CVodeCreate(CV_BDF, context);
  check(CVodeInit(memory, rates, 0.0, y), "CVodeInit");
  check(CVodeSVtolerances(memory, c.rtol, atol), "CVodeSVtolerances");
  check(CVodeSetUserData(memory, &c), "CVodeSetUserData");
  check(CVodeSetLinearSolver(memory, linear, matrix), "CVodeSetLinearSolver");
  check(CVodeSetJacFn(memory, jacobian), "CVodeSetJacFn");
  check(CVodeSetMaxNumSteps(memory, 10000000), "CVodeSetMaxNumSteps");
  Numbers out;
  for (double until : c.times) {
    double t = 0;
    check(CVode(memory, until, y, &t, CV_NORMAL), "CVode");
    out.insert(out.end(), N_VGetArrayPointer(y), N_VGetArrayPointer(y) + n);
  }
  check(CVodeGetNumSteps(memory, &steps), "CVodeGetNumSteps");
  CVodeFree(&memory);
  SUNLinSolFree(linear);
  SUNMatDestroy(matrix);
  N_VDestroy(y);
  N_VDestroy(atol);
  return out;
}

Numbers line() {
  std::string text;
  std::getline(std::cin, text);
  std::istringstream in(text);
  Numbers out;
  for (double x = 0; in >> x;) out.push_back(x);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  Case c{nullptr, line(), line(), line(), line(), std::atof(argv[2])};
  for (const Problem& p : kProblems)
    if (std::string(argv[1]) == p.name) c.problem = &p;
  if (!c.problem) return 2;
  SUNContext context = nullptr;
  check(SUNContext_Create(0, &context), "SUNContext_Create");
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  long steps = 0;
  Numbers y, times;
  const Clock::time_point start = Clock::now();
  while (times.size() < 3 || seconds(start) < std::atof(argv[3])) {
    const Clock::time_point begin = Clock::now();
    y = solve(c, context, steps);
    times.push_back(seconds(begin));
  }
  SUNContext_Free(&context);
  std::sort(times.begin(), times.end());
  std::printf("%.9g %ld\n", times[times.size() / 2], steps);
  for (double x : y) std::printf("%.17g ", x);
  std::printf("\n");
  return 0;
}
