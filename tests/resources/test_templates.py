"""Templates in YAML give values of the right type, say what they may use, and are no way into Python."""

from __future__ import annotations

from typing import Any

import pytest

from resources.config_errors import ConfigError
from resources.templates import env_var, render, var_function

VARS = {"size": 128, "share": 0.5, "names": ["a", "b"], "nested": {"deep": True}}
SCOPE = {"env_var": env_var, "var": var_function(VARS), "vars": VARS}


def rendered(value: Any) -> Any:
    return render(value, SCOPE, lambda path, message: ConfigError(f"at {path}: {message}"))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ var('size') }}", 128),
        ("{{ vars.share }}", 0.5),
        ("{{ var('names') }}", ["a", "b"]),
        ("{{ vars.nested.deep }}", True),
        ("{{ var('size') * 2 }}", 256),
        ("{{ var('nothing', none) }}", None),
        ("{{ var('nothing', 7) }}", 7),
        ("model-{{ var('size') }}", "model-128"),
        ("{{ var('size') }}{{ var('size') }}", "128128"),
        ("no template", "no template"),
    ],
)
def test_a_template_gives_the_value_with_its_type(template: str, value: object) -> None:
    found = rendered(template)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["007", "1e5", "None", "[1, 2]", "2024", "a: b", "契約"])
def test_an_environment_variable_is_text_whatever_it_looks_like(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER", text)
    assert rendered("{{ env_var('FOLDER') }}") == text


def test_templates_are_found_at_every_depth() -> None:
    assert rendered({"a": [{"b": "{{ var('size') }}"}, 1, None]}) == {"a": [{"b": 128}, 1, None]}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ size }}", "'size' is undefined; templates may use: env_var, var, vars"),
        ("{{ vars.syze }}", "has no attribute 'syze'"),
        ("{{ var('syze') }}", "var('syze'): not in the vars of profiles.yml; known: names, nested, share, size"),
        ("{{ env_var('NOT_SET_ANYWHERE') }}", "env_var('NOT_SET_ANYWHERE'): not set; set it, or give a default"),
        ("{{ env_var() }}", "missing 1 required positional argument"),
        ("{{ var('size') + 'x' }}", "unsupported operand"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ var('size'", "unexpected"),
        ("{{ }}", "Expected an expression"),
    ],
)
def test_a_wrong_template_is_refused_with_its_place_and_what_it_may_use(template: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        rendered({"source": [{"path": template}]})
    assert str(error.value).startswith("at ('source', 0, 'path'): ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ env_var.__globals__['os'].environ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ vars.__class__ }}",
        "{{ vars.clear() }}",
        "{{ range(100000000) | list }}",
    ],
)
def test_no_template_reaches_into_python(template: str) -> None:
    with pytest.raises(ConfigError):
        rendered(template)
