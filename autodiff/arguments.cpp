#include "autodiff/arguments.h"

namespace hesse {

void check_argnums(std::string_view function, const Arrays& args, const std::vector<int>& argnums) {
  require(!argnums.empty(), function, ": argnums is empty; name at least one argument");
  for (const int i : argnums) {
    require<IndexError>(i >= 0 && i < static_cast<int>(args.size()), function, ": argnums ", i,
                        " is out of range for ", args.size(), " argument(s)");
    const DType t = args[static_cast<size_t>(i)].dtype();
    require<TypeError>(is_inexact(t), function, ": argument ", i, " has dtype ", t,
                       "; derivatives need floating or complex arguments, convert it with astype");
  }
}

Arrays chosen(const Arrays& args, const std::vector<int>& argnums) {
  Arrays out;
  for (const int i : argnums) out.push_back(args[static_cast<size_t>(i)]);
  return out;
}

Fn restricted(const Fn& f, const Arrays& args, const std::vector<int>& argnums) {
  return [&f, args, argnums](std::span<const Array> x) {
    Arrays in = args;
    for (size_t k = 0; k < argnums.size(); ++k) in[static_cast<size_t>(argnums[k])] = x[k];
    return f(in);
  };
}

void check_scalar(std::string_view function, const Arrays& y, std::string_view remedy) {
  require(!y.empty(), function, ": the function returned nothing; expected a scalar");
  require(y[0].ndim() == 0, function, ": the function returned shape ", y[0].shape(), "; expected a scalar, ",
          remedy);
  require<TypeError>(is_floating(y[0].dtype()), function, ": the function returned dtype ", y[0].dtype(),
                     "; expected a real floating scalar, convert it with astype or take its real part");
}

Fn checked_scalar(std::string_view function, Fn f, std::string_view remedy) {
  return [f = std::move(f), function, remedy](std::span<const Array> x) {
    Arrays y = f(x);
    check_scalar(function, y, remedy);
    return y;
  };
}

}  // namespace hesse
