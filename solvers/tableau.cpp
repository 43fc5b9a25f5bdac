#include "solvers/tableau.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"

namespace hesse::solvers {
namespace {

// Euler, Institutiones calculi integralis I (1768), chapter VII.
Tableau euler() { return {.name = "Euler", .order = 1, .c = {0}, .a = {{}}, .b = {1}}; }

// Runge, Math. Ann. 46 (1895) 167.
Tableau midpoint() { return {.name = "Midpoint", .order = 2, .c = {0, 0.5}, .a = {{}, {0.5}}, .b = {0, 1}}; }

// Heun, Z. Math. Phys. 45 (1900) 23.
Tableau heun() { return {.name = "Heun", .order = 2, .c = {0, 1}, .a = {{}, {1}}, .b = {0.5, 0.5}}; }

// Kutta, Z. Math. Phys. 46 (1901) 435: the classical one.
Tableau rk4() {
  return {.name = "RK4",
          .order = 4,
          .c = {0, 0.5, 0.5, 1},
          .a = {{}, {0.5}, {0, 0.5}, {0, 0, 1}},
          .b = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}};
}

// Bogacki and Shampine, A 3(2) pair of Runge-Kutta formulas, Appl. Math. Lett. 2 (1989) 321. The embedded
// weights are 7/24, 1/4, 1/3, 1/8. Its interpolant is the cubic Hermite polynomial: no middle.
Tableau bosh3() {
  return {.name = "Bosh3",
          .order = 3,
          .error_order = 2,
          .c = {0, 1.0 / 2, 3.0 / 4, 1},
          .a = {{}, {1.0 / 2}, {0, 3.0 / 4}, {2.0 / 9, 1.0 / 3, 4.0 / 9}},
          .b = {2.0 / 9, 1.0 / 3, 4.0 / 9, 0},
          .error = {-5.0 / 72, 1.0 / 12, 1.0 / 9, -1.0 / 8},
          .first_same_as_last = true};
}

// Dormand and Prince, A family of embedded Runge-Kutta formulae, J. Comput. Appl. Math. 6 (1980) 19:
// RK5(4)7M. Its embedded weights are 5179/57600, 0, 7571/16695, 393/640, -92097/339200, 187/2100, 1/40. The
// middle is that of Shampine, Some practical Runge-Kutta formulas, Math. Comp. 46 (1986) 135 (his best c_6).
Tableau dopri5() {
  return {.name = "Dopri5",
          .order = 5,
          .error_order = 4,
          .c = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1},
          .a = {{},
                {1.0 / 5},
                {3.0 / 40, 9.0 / 40},
                {44.0 / 45, -56.0 / 15, 32.0 / 9},
                {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
                {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
                {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}},
          .b = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84, 0},
          .error = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40},
          .middle = {6025192743.0 / 60171106304.0, 0, 51252292925.0 / 130801643196.0,
                     -2691868925.0 / 90256659456.0, 187940372067.0 / 3189068634112.0,
                     -1776094331.0 / 39487288512.0, 11237099.0 / 470086768.0},
          .first_same_as_last = true};
}

// Tsitouras, Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption, Comput.
// Math. Appl. 62 (2011) 770, Table 1, with the digits that the order conditions add to the printed ones. The
// middle is that of the paper's interpolant b_i(theta): of the weights of order 4, which have one free
// parameter, those with b_7(1/2) = 1/32.
Tableau tsit5() {
  return {.name = "Tsit5",
          .order = 5,
          .error_order = 4,
          .c = {0, 0.161, 0.327, 0.9, 0.9800255409045096857298, 1, 1},
          .a = {{},
                {0.161},
                {-0.008480655492356988544427, 0.3354806554923569885444},
                {2.897153057105493432130, -6.359448489975074843148, 4.362295432869581411018},
                {5.325864828439256604429, -11.74888356406282787775, 7.495539342889836208305,
                 -0.0924950663617552492565},
                {5.861455442946420028659, -12.92096931784710929171, 8.159367898576158643180,
                 -0.07158497328140099722453, -0.02826905039406838290900},
                {0.09646076681806522951817, 0.01, 0.4798896504144995747752, 1.379008574103741893192,
                 -3.290069515436080679901, 2.324710524099773982415}},
          .b = {0.09646076681806522951817, 0.01, 0.4798896504144995747752, 1.379008574103741893192,
                -3.290069515436080679901, 2.324710524099773982415, 0},
          .error = {0.001780011052225771443379, 0.0008164344596567469032236, -0.007880878010261996010315,
                    0.1447110071732629075372, -0.5823571654525552250199, 0.4580821059291869466616, -1.0 / 66},
          .middle = {0.1074123523009687674324, 0.01135625, 0.3956090305604530869553,
                     -0.3447521435259354732981, 1.316185364958164736217, -1.017060854293651117307, 1.0 / 32},
          .first_same_as_last = true};
}

// Dormand and Prince's method of order 8 with the error estimates of orders 5 and 3 of Hairer, Norsett and
// Wanner, Solving Ordinary Differential Equations I (2nd ed., 1993), Section II.10, and their program DOP853.
// The weights of order 3 belong to stages 1, 9 and 12: they integrate quadratics with nodes 0, 127/195 and 1.
Tableau dop853() {
  return {.name = "Dop853",
          .order = 8,
          .error_order = 7,
          .c = {0, 0.0526001519587677318786, 0.0789002279381515978178, 0.118350341907227396727,
                0.281649658092772603273, 1.0 / 3, 1.0 / 4, 4.0 / 13, 127.0 / 195, 3.0 / 5, 6.0 / 7, 1},
          .a = {{},
                {0.0526001519587677318786},
                {0.0197250569845378994545, 0.0591751709536136983634},
                {0.0295875854768068491817, 0, 0.0887627564304205475451},
                {0.241365134159266685502, 0, -0.884549479328286085345, 0.924834003261792003116},
                {1.0 / 27, 0, 0, 0.17082860872947387128, 0.125467687566822425017},
                {19.0 / 512, 0, 0, 0.170252211019544039315, 0.060216538980455960685, -9.0 / 512},
                {0.0370920001185047927109, 0, 0, 0.17038392571223999381, 0.107262030446373284652,
                 -0.0153194377486244017528, 8.27378916381402288758e-3},
                {0.624110958716075717114, 0, 0, -3.36089262944694129407, -0.868219346841726006818,
                 27.5920996994467083049, 20.1540675504778934086, -43.4898841810699588477},
                {0.47766253643826436589, 0, 0, -2.48811461997166764193, -0.590290826836842996371,
                 21.2300514481811942347, 15.2792336328824235833, -33.2882109689848629194,
                 -0.0203312017085086261358},
                {-0.937142430085987325717, 0, 0, 5.1863724288440637083, 1.09143734899672957819,
                 -8.14978701074692612514, -18.5200656599969598642, 22.7394870993505042819,
                 2.49360555267965238987, -3.04676447189821950038},
                {2.27331014751653820792, 0, 0, -10.5344954667372501984, -2.0008720582248624991,
                 -17.9589318631187989173, 27.9488845294199600508, -2.85899827713502369474,
                 -8.87285693353062954434, 12.3605671757943030647, 0.643392746015763530356}},
          .b = {0.0542937341165687622381, 0, 0, 0, 0, 4.45031289275240888144, 1.89151789931450038304,
                -5.80120396001058478147, 0.311164366957819894409, -0.152160949662516078556,
                0.201365400804030348375, 0.0447106157277725905177},
          .error = {0.0131200449941948807325, 0, 0, 0, 0, -1.22515644637620444072, -0.495758949657250191521,
                    1.66437718245498653696, -0.350328848749973681689, 0.33417911871301747903,
                    0.0819232064851157124657, -0.0223553078638862952588},
          .second_error = {0.0542937341165687622381 - 31.0 / 127, 0, 0, 0, 0, 4.45031289275240888144,
                           1.89151789931450038304, -5.80120396001058478147,
                           0.311164366957819894409 - 12675.0 / 17272, -0.152160949662516078556,
                           0.201365400804030348375, 0.0447106157277725905177 - 3.0 / 136}};
}

const std::array<Tableau, 8>& tableaus() {
  static const std::array<Tableau, 8> all = {euler(), midpoint(), heun(),  rk4(),
                                             bosh3(), dopri5(),   tsit5(), dop853()};
  return all;
}

}  // namespace

const Tableau* find_explicit_tableau(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kAliases = {
      {{"RK23", "Bosh3"}, {"RK45", "Dopri5"}, {"DOP853", "Dop853"}}};
  for (const auto& [scipy, ours] : kAliases)
    if (name == scipy) name = ours;
  const auto& all = tableaus();
  const auto found = std::ranges::find(all, name, &Tableau::name);
  return found == all.end() ? nullptr : &*found;
}

const Tableau& explicit_tableau(std::string_view name) {
  const Tableau* const found = find_explicit_tableau(name);
  if (found) return *found;
  std::string known;
  for (const std::string& other : explicit_methods()) known += (known.empty() ? "" : ", ") + other;
  throw ValueError(concat("explicit_tableau: no explicit method is called '", name, "'; use one of ", known,
                          ", ", kSciPyNames));
}

std::span<const std::string> explicit_methods() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Tableau& method : tableaus()) list.push_back(method.name);
    return list;
  }();
  return names;
}

}  // namespace hesse::solvers
