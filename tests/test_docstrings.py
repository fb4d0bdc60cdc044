"""Every public name is documented, and what the documentation shows is true."""

import ast
import dataclasses
import doctest
import importlib.util
import inspect
import textwrap
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import sklearn_cce

MODULES = [
    "inspection",
    "losses",
    "metrics",
    "model_selection",
    "modules",
    "pseudo_labels",
    "views",
]
DOCS = Path(__file__).parent.parent / "docs"

# numpydoc's codes: that there is a docstring whose summary is one sentence (GL08, SS),
# that the parameters are those of the signature, in its order, with type and
# description (PR), that what is returned is described (RT, YD), an example (EX01).
FORM = {"GL03", "GL05", "GL06", "GL07", "GL08", "GL09"}
SUMMARY = {"SS01", "SS02", "SS03", "SS04"}
PARAMETERS = {"PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR09", "PR10"}
RETURNS = {"RT01", "RT03", "YD01"}
OF_METHODS = FORM | SUMMARY | PARAMETERS | RETURNS
OF_OBJECTS = OF_METHODS | {"EX01"}


def public_modules():
    for name in MODULES:
        if importlib.util.find_spec(f"sklearn_cce.{name}"):
            yield importlib.import_module(f"sklearn_cce.{name}")


def is_documented_kind(value):
    return inspect.isclass(value) or inspect.isfunction(value)


def public_objects():
    for module in (sklearn_cce, *public_modules()):
        for name in module.__all__:
            if is_documented_kind(getattr(module, name)):
                yield f"{module.__name__}.{name}"


def resolve(path):
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def own_methods(path):
    for name, value in vars(resolve(path)).items():
        if inspect.isfunction(value) and not name.startswith("_"):
            if not name.startswith(("set_", "get_metadata")):
                yield f"{path}.{name}"


OBJECTS = sorted(set(public_objects()))
RESULTS = [path for path in OBJECTS if path.endswith("Result")]
CALLABLES = [path for path in OBJECTS if path not in RESULTS]
METHODS = [m for path in CALLABLES for m in own_methods(path)]
LOSSES = [path for path in CALLABLES if path.startswith("sklearn_cce.losses.")]
LOSS_FUNCTIONS = [path for path in LOSSES if inspect.isfunction(resolve(path))]
OF_LOSSES = {"Parameters", "Raises", "See Also", "Examples"}
OF_LOSS_FUNCTIONS = OF_LOSSES | {"Returns", "Notes", "References"}


def complaints(path, codes):
    return [error for error in validate(path)["errors"] if error[0] in codes]


def written(path):
    """Return the docstring that stands in the source, where editors look for it."""
    source = textwrap.dedent(inspect.getsource(resolve(path)))
    return ast.get_docstring(ast.parse(source).body[0])


def test_modules_say_what_is_public():
    for module in public_modules():
        assert module.__doc__
        assert set(module.__all__) <= set(dir(module))
        assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("path", CALLABLES)
def test_docstring_of_public_object(path):
    assert not complaints(path, OF_OBJECTS)


@pytest.mark.parametrize("path", METHODS)
def test_docstring_of_public_method(path):
    assert not complaints(path, OF_METHODS)


@pytest.mark.parametrize("path", CALLABLES)
def test_docstring_is_written_out(path):
    assert inspect.getdoc(resolve(path)) == written(path)


@pytest.mark.parametrize("path", LOSSES)
def test_losses_are_documented_in_full(path):
    sections = OF_LOSS_FUNCTIONS if path in LOSS_FUNCTIONS else OF_LOSSES
    documented = get_doc_object(resolve(path))
    assert not [section for section in sections if not documented[section]]


@pytest.mark.parametrize("path", LOSS_FUNCTIONS)
def test_the_module_of_a_loss_is_its_twin(path):
    """Their docstrings point to each other."""
    module, name = path.rsplit(".", 1)
    twin = "".join(word.capitalize() for word in name.split("_")) + "Loss"
    for one, other in [(name, twin), (twin, name)]:
        linked = str(get_doc_object(resolve(f"{module}.{one}"))["See Also"])
        assert f"'{other}'" in linked


@pytest.mark.parametrize("path", RESULTS)
def test_fields_of_results_are_described(path):
    described = [item.name for item in get_doc_object(resolve(path))["Attributes"]]
    assert described == [field.name for field in dataclasses.fields(resolve(path))]


@pytest.mark.parametrize("path", CALLABLES)
def test_public_signature_has_type_hints(path):
    function = resolve(path)
    function = function.__init__ if inspect.isclass(function) else function
    hints = inspect.signature(function).parameters.values()
    untyped = [p.name for p in hints if p.annotation is p.empty and p.name != "self"]
    assert untyped == []


@pytest.mark.parametrize("page", sorted(p.name for p in DOCS.glob("*.rst")))
def test_code_in_the_documentation(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, _ = doctest.testfile(
        str(DOCS / page), module_relative=False, optionflags=flags, encoding="utf-8"
    )
    assert failed == 0
