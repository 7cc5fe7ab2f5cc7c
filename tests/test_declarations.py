"""Every kernel says all that the surfaces need, and says what is true."""

from __future__ import annotations

import inspect
import re

import docstring_parser
import jsonschema
import pytest
from pydantic_core import PydanticUndefined

from workbench import kernel as declarations
from workbench import units
from workbench.calls.describe import describe, docstring, schema_of
from workbench.cli.options import RESERVED, options

KERNELS = declarations.kernels()


@pytest.fixture(params=KERNELS, scope="module")
def kernel(request) -> declarations.Kernel:
    return KERNELS[request.param]


def documented(kernel) -> dict[str, docstring_parser.common.DocstringParam]:
    found = {}
    for item in docstring(kernel).params:
        for name in item.arg_name.split(","):
            found[name.strip()] = item
    return found


def test_there_are_kernels():
    assert KERNELS


def test_first_sentence_fits_a_list(kernel):
    title = docstring(kernel).short_description
    assert title
    assert title.endswith(".")
    assert len(title) < 110
    assert "\n" not in title


def test_parameters_are_those_of_the_signature_in_its_order(kernel):
    assert list(documented(kernel)) == list(inspect.signature(kernel.function).parameters)


def test_every_setting_is_explained_with_its_unit(kernel):
    parameters = inspect.signature(kernel.function).parameters
    for name, item in documented(kernel).items():
        said, written = item.type_name or "", str(parameters[name].annotation)
        for word in re.findall(r"\w+", written):
            if word in units.__all__ and word != "Unit":
                assert word in said, f"{kernel.id}: {name} is declared as {word}, documented as '{said}'"
        if name in kernel.settings.model_fields:
            assert item.description, f"{kernel.id}: {name} has no words"
        for choice in re.findall(r"[\"'](\w+)[\"']", written):
            assert choice in said, f"{kernel.id}: {name} does not name the choice {choice}"


def test_every_input_is_named_with_its_noun(kernel):
    for item in kernel.inputs:
        said = documented(kernel)[item.name].type_name or ""
        assert all(noun in said for noun in item.nouns), f"{kernel.id}: {item.name} : {said}"


def test_returns_raises_example_and_source_are_there(kernel):
    text = docstring(kernel)
    found = describe(kernel)
    assert text.returns is not None
    assert all(output.noun in (text.returns.type_name or "") for output in kernel.outputs) or (
        len(kernel.outputs) > 1
    )
    assert text.returns.description
    assert ">>>" in found["example"], f"{kernel.id} has no example"
    assert re.search(r"\b(1[89]|20)\d\d\b", found["references"]), f"{kernel.id} names no published source"


def test_default_is_within_its_own_bounds(kernel):
    given = {
        name: field.default
        for name, field in kernel.settings.model_fields.items()
        if field.default is not PydanticUndefined
    }
    for name, value in given.items():
        kernel.settings.__pydantic_validator__.validate_assignment(
            kernel.settings.model_construct(**given), name, value
        )


def test_schemas_are_valid_and_complete_in_themselves(kernel):
    found = describe(kernel)
    for name, item in {**found["inputs"], **found["outputs"]}.items():
        jsonschema.Draft202012Validator.check_schema(item["schema"])
        assert "$ref" not in str(item["schema"]), f"{kernel.id}: {name}"


def test_schema_takes_the_default_and_refuses_what_is_out_of_bounds(kernel):
    for name in kernel.settings.model_fields:
        described = schema_of(kernel, name)
        checker = jsonschema.Draft202012Validator(described)
        default = described.get("default")
        if default is not None:
            checker.validate(default)
        if "minimum" in described:
            assert not checker.is_valid(described["minimum"] - 1)
        for barred in described.get("not", {}).get("enum", []):
            assert not checker.is_valid(barred)
        if described.get("type") in ("number", "integer"):
            assert not checker.is_valid("text")


def test_numbers_have_a_unit(kernel):
    def numbers(part: object) -> list[dict[str, object]]:
        if isinstance(part, list):
            return [found for item in part for found in numbers(item)]
        if not isinstance(part, dict):
            return []
        own = [part] if part.get("type") == "number" else []
        return own + [found for key, item in part.items() if key != "properties" for found in numbers(item)]

    for name in kernel.settings.model_fields:
        for number in numbers(schema_of(kernel, name)):
            assert number.get("x-ogc-unit"), f"{kernel.id}: {name}"


def test_every_setting_is_an_option_of_the_command_line(kernel):
    names = {option.name for option in options(kernel)}
    assert names == set(kernel.settings.model_fields)
    assert not names & RESERVED, f"{kernel.id} uses a name that the command line keeps for itself"


def test_lead_trail_and_grid_are_seconds(kernel):
    given = {
        name: field.default
        for name, field in kernel.settings.model_fields.items()
        if field.default is not PydanticUndefined
    }
    settings = kernel.settings.model_construct(**given)
    assert kernel.lead(settings) >= 0
    assert kernel.trail(settings) >= 0
    assert kernel.grid(settings) >= 0


def test_function_is_untouched(kernel):
    assert inspect.isfunction(kernel.function)
    assert not hasattr(kernel.function, "__wrapped__")
    module = __import__(kernel.function.__module__, fromlist=["x"])
    assert getattr(module, kernel.name) is kernel.function
