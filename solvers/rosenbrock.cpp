#include "solvers/rosenbrock.h"

#include "core/derivatives.h"
#include "core/ops.h"
#include "core/ops/control.h"

namespace hesse::solvers {
namespace {

// Hairer and Wanner, Solving Ordinary Differential Equations II, section IV.7: the method of the code RODAS,
// stiffly accurate, of order 4 with an embedded method of order 3.
RosenbrockTableau rodas4() {
  return {.name = "Rodas4",
          .order = 4,
          .error_order = 3,
          .gamma = 0.25,
          .alpha = {0, 0.386, 0.21, 0.63, 1, 1},
          .gammas = {0.25, -0.1043, 0.1035, -0.0362, 0, 0},
          .a = {{},
                {1.544},
                {0.9466785280815826, 0.2557011698983284},
                {3.314825187068521, 2.896124015972201, 0.9986419139977817},
                {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950},
                {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 1}},
          .c = {{},
                {-5.6688},
                {-2.430093356833875, -0.2063599157091915},
                {-0.1073529058151375, -9.594562251023355, -20.47028614809616},
                {7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160},
                {8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136,
                 -6.058818238834054}},
          .dense = {{10.12623508344586, -7.487995877610167, -34.80091861555747, -7.992771707568823,
                     1.025137723295662, 0},
                    {-0.6762803392801253, 6.087714651680015, 16.43084320892478, 24.76722511418386,
                     -6.594389125716872, 0}},
          .dense_order = 3};
}

// Steinebach, Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within the Julia
// Differential Equations package, BIT Numer. Math. 63 (2023) 27.
RosenbrockTableau rodas5p() {
  const std::vector<double> last = {-7.502846399306121, 2.561846144803919, -11.627539656261098,
                                    -0.18268767659942256, 0.030198172008377946};
  const auto with_ones = [&](size_t n) {
    std::vector<double> row = last;
    row.resize(row.size() + n, 1.0);
    return row;
  };
  return {
      .name = "Rodas5P",
      .order = 5,
      .error_order = 4,
      .gamma = 0.21193756319429014,
      .alpha = {0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1, 1, 1},
      .gammas = {0.21193756319429014, -0.42387512638858027, -0.3384627126235924, 1.8046452872882734,
                 2.325825639765069, 0, 0, 0},
      .a = {{},
            {3.0},
            {2.849394379747939, 0.45842242204463923},
            {-6.954028509809101, 2.489845061869568, -10.358996098473584},
            {2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641},
            last,
            with_ones(1),
            with_ones(2)},
      .c = {{},
            {-14.155112264123755},
            {-17.97296035885952, -2.859693295451294},
            {147.12150275711716, -1.41221402718213, 71.68940251302358},
            {165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306},
            {24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125,
             -0.6610691825249471},
            {30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783,
             -19.097331116725623, -28.087943162872662},
            {37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
             -54.66780262877968, -9.48861652309627}},
      .dense = {{25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204,
                 0.524948541321073, 1.1241088310450404, 0.4272876194431874, -0.17202221070155493},
                {-9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796,
                 20.176138334709044, 15.98066361424651, -6.789040303419874, -6.710236069923372},
                {11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643,
                 -52.072871366152654, -59.78993625266729, -0.15582684282751913, 4.883087185713722}},
      .dense_order = 4};
}

class Rosenbrock final : public Method {
 public:
  Rosenbrock(const RosenbrockTableau& tableau, Field field)
      : Method(std::move(field)),
        tableau_(tableau),
        flat_(real_state(field_, tableau.name)),
        jacobian_(field_, flat_) {}

  std::string_view name() const override { return tableau_.name; }
  int error_order() const override { return tableau_.error_order; }
  bool interpolates() const override { return true; }
  int64_t evaluations() const override { return static_cast<int64_t>(tableau_.a.size()); }
  int64_t factorisations() const override { return 1; }
  size_t num_kept() const override { return 0; }
  size_t num_dense() const override { return tableau_.dense.size(); }
  Arrays kept_at_start(const Arrays&) const override { return {}; }
  // Where nothing has happened yet the polynomial is y0 + x f0: its slope is that of the solution.
  Arrays dense_at_start(const Arrays&, const Arrays& f0) const override {
    Arrays out(tableau_.dense.size(), zeros({flat_.size()}, flat_.dtype()));
    out[0] = flat_.pack(f0);
    return out;
  }

  Step step(const Array& t, const Array& h_in, std::span<const Array> y_in, std::span<const Array>,
            std::span<const Array> operands) const override {
    const DType real = flat_.dtype();
    const Array h = astype(h_in, real), y = flat_.pack(y_in);
    const Array rate = 1.0 / h, diagonal = rate / tableau_.gamma;
    const Factored system(
        diagonal * field_.mass_matrix(operands, real) - jacobian_.by_state(t, y_in, operands),
        Factored::Singular::GivesNaN);
    const std::optional<Array> by_time = jacobian_.by_time(t, y_in, operands);
    std::vector<Arrays> u;
    Step out;
    for (size_t s = 0; s < tableau_.a.size(); ++s) {
      const std::optional<Array> change = combined(u, tableau_.a[s], 0);
      const Array at = change ? y + *change : y;
      Array right = flat_.pack(field_(t + tableau_.alpha[s] * h_in, flat_.unpack(at), operands));
      if (const std::optional<Array> earlier = combined(u, tableau_.c[s], 0))
        right = right + rate * field_.times_mass(*earlier, operands);
      if (by_time && tableau_.gammas[s] != 0) right = right + h * tableau_.gammas[s] * *by_time;
      u.push_back({system.solve(right)});
      if (s + 1 == tableau_.a.size()) out.y = flat_.unpack(at + u.back()[0]);
    }
    out.errors.push_back(flat_.unpack(u.back()[0]));
    for (const std::vector<double>& row : tableau_.dense) out.dense.push_back(*combined(u, row, 0));
    return out;
  }

  Arrays interpolate(const Segment& s, const Array& t) const override {
    const Array x = astype(position(s, t), flat_.dtype()), rest = 1.0 - x;
    Array inner = s.dense.back();
    for (size_t r = s.dense.size() - 1; r-- > 0;) inner = s.dense[r] + x * inner;
    return flat_.unpack(rest * flat_.pack(s.y_begin) + x * (flat_.pack(s.y_end) + rest * inner));
  }

 private:
  const RosenbrockTableau& tableau_;
  Packing flat_;
  FieldJacobian jacobian_;
};

}  // namespace

const std::vector<RosenbrockTableau>& rosenbrock_tableaus() {
  static const std::vector<RosenbrockTableau> all = {rodas4(), rodas5p()};
  return all;
}

std::unique_ptr<const Method> make_rosenbrock(const RosenbrockTableau& tableau, Field field) {
  return std::make_unique<Rosenbrock>(tableau, std::move(field));
}

}  // namespace hesse::solvers
