#pragma once
#include "bindings/docs.h"

/// Docstrings: trees.
namespace hesse::python::docs {

constexpr Doc kTreeFlatten{
    .meaning = "The leaves of a tree and its structure.",
    .parameters =
        {"tree : tree\n    Nested dicts, lists, tuples, dataclasses and modules; None holds no leaves.",
         "is_leaf : callable, optional\n    What it is true for is a leaf."},
    .returns = "leaves : list\ntreedef : TreeDef",
    .example = R"(
>>> leaves, treedef = hs.tree_flatten({'b': 2.0, 'a': [1.0, None]})
>>> leaves
[1.0, 2.0]
>>> treedef
TreeDef({'a': [*, None], 'b': *})
>>> hs.tree_unflatten(treedef, leaves)
{'b': 2.0, 'a': [1.0, None]})",
};
constexpr Doc kTreeLeaves{
    .meaning = "The leaves of a tree, dicts in the order of their sorted keys.",
    .parameters = {"tree : tree", "is_leaf : callable, optional\n    What it is true for is a leaf."},
    .returns = "list",
    .example = R"(
>>> hs.tree_leaves({'b': 2.0, 'a': [1.0, None]})
[1.0, 2.0])",
};
constexpr Doc kTreeStructure{
    .meaning = "The structure of a tree.",
    .parameters = {"tree : tree", "is_leaf : callable, optional\n    What it is true for is a leaf."},
    .returns = "TreeDef",
    .example = R"(
>>> hs.tree_structure([1.0, (2.0, 3.0)])
TreeDef([*, (*, *)]))",
};
constexpr Doc kTreeUnflatten{
    .meaning = "The tree of this structure with these leaves.",
    .parameters = {"treedef : TreeDef", "leaves : list"},
    .returns = "tree",
    .raises = "ValueError\n    For another number of leaves.",
    .example = R"(
>>> hs.tree_unflatten(hs.tree_structure([0, (0, 0)]), [1, 2, 3])
[1, (2, 3)])",
};
constexpr Doc kTreeMap{
    .meaning = "The tree of f(leaf, ...), further trees giving what they hold at the same place.",
    .parameters = {"f : callable", "tree : tree",
                   "*rest : tree\n    They may hold anything where the first has a leaf, None included: "
                   "gradients of integers\n    are None.",
                   "is_leaf : callable, optional\n    What it is true for is a leaf."},
    .returns = "tree",
    .raises = "ValueError\n    Where a further tree has another structure.",
    .example = R"(
>>> hs.tree_map(lambda x, y: x + y, {'a': 1, 'b': 2}, {'a': 10, 'b': 20})
{'a': 11, 'b': 22})",
};
constexpr Doc kTreeDef{
    .meaning = "The structure of a tree, without its leaves.",
    .example = R"(
>>> treedef = hs.tree_structure({'w': 1.0, 'b': [2.0]})
>>> treedef.num_leaves, treedef.paths()
(2, ["['b'][0]", "['w']"]))",
};

}  // namespace hesse::python::docs
