"""Charts and values drawn by hypothesis: what is rendered of them is, byte for byte, what Helm's own program makes."""

from __future__ import annotations

import difflib
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from real.programs import find
from real.test_helm import helm_program, ours
from windlass.adapters.render import render_folder
from windlass.adapters.render.helm import ChartWrong, Settings
from windlass.cli.trees import Place, request_of
from windlass.core.documents import DocumentError
from windlass.core.kinds.rendering import Helm, Render

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(find("helm") is None, reason="Helm is not built: make real"),
]

EXPRESSIONS = Path(__file__).with_name("helm_expressions.txt").read_text().splitlines()
WORDS = [
    "a",
    "abc",
    "yes",
    "1",
    "1.0",
    "true",
    "null",
    "",
    "a: b",
    "a\nb\n",
    "'",
    '"',
    "é",
    "{{ .Values.b }}",
    "0x1F",
    "~",
    " x ",
]
scalars = (
    st.sampled_from(WORDS)
    | st.sampled_from([0, 1, -1, 1000000, 2**53 + 1, 2**63 - 1, 1.5, 1e21, 0.1, 1.0, True, False, None])
    | st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc",)), max_size=8)
)
keys = st.sampled_from(["k", "a", "z", "x-y", "1", "true", "A"])
nested = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
values = st.fixed_dictionaries(
    {"a": scalars, "b": scalars, "m": st.dictionaries(keys, nested, max_size=3), "l": st.lists(nested, max_size=3)},
    optional={"t": st.sampled_from(WORDS), "sub": st.dictionaries(keys, nested, max_size=2), "global": nested},
)
CHART = """\
apiVersion: v2
name: c
version: 0.1.0
appVersion: "1.10"
"""
HELPERS = """\
{{- define "c.name" -}}{{ .Chart.Name }}-{{ .Release.Name }}{{- end }}
{{- define "c.all" }}
one: {{ .Values.a | toJson }}
two: {{ include "c.name" . }}
{{ end -}}
"""
KINDS = [
    "ConfigMap",
    "Service",
    "Secret",
    "Deployment",
    "Thing",
    "Namespace",
    "Job",
    "Ingress",
    "CustomResourceDefinition",
]
HOOKS = ["", "", "", "pre-install", "test", "post-install,pre-upgrade", "nonsense"]


@st.composite
def templates(draw: st.DrawFn) -> dict[str, str]:
    """A few templates, of one to three documents each."""
    found: dict[str, str] = {}
    for name in draw(
        st.lists(
            st.sampled_from(["a.yaml", "b.yaml", "z/c.yaml", "d.txt", "_e.yaml"]), min_size=1, max_size=3, unique=True
        )
    ):
        documents = []
        for _ in range(draw(st.integers(1, 3))):
            hook = draw(st.sampled_from(HOOKS))
            weight = draw(st.sampled_from(["", '    helm.sh/hook-weight: "-5"\n', '    helm.sh/hook-weight: "3"\n']))
            notes = f"  annotations:\n    helm.sh/hook: {hook}\n{weight}" if hook else ""
            lines = draw(st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=4))
            body = "".join(f"  k{number}: {{{{ {one} }}}}\n" for number, one in enumerate(lines))
            loop = draw(
                st.sampled_from(
                    [
                        "",
                        "  {{- range $n, $v := .Values.l }}\n  r{{ $n }}: {{ $v | toJson }}\n  {{- end }}\n",
                        "  # a comment\n",
                        "{{- with .Values.m }}\n  w: {{ .k | toJson }}\n{{- end }}\n",
                    ]
                )
            )
            kind, label = draw(st.sampled_from(KINDS)), draw(st.sampled_from(["x", "y"]))
            documents.append(f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {label}\n{notes}spec:\n{body}{loop}")
        between = draw(st.sampled_from(["---\n", "\n---\n\n", "--- # more\n", "---\n---\n"]))
        ahead = draw(st.sampled_from(["", "---\n", "# head\n", "{{- if .Values.a }}\n"]))
        found[f"templates/{name}"] = ahead + between.join(documents) + ("{{- end }}\n" if "if" in ahead else "")
    return found


def judge(made: dict[str, str], chosen: dict[str, Any], sub: bool) -> tuple[str, str]:
    """What becomes of a chart that both render: "same", "refused" by both, or "different"; and why."""
    texts = {"Chart.yaml": CHART, "values.yaml": "a: 1\nb: two\nm: {k: v}\nl: [a]\n", "templates/_h.tpl": HELPERS}
    texts |= {"data.txt": "one\ntwo: 2\n", "other.txt": "é", **made}
    if sub:
        texts |= {
            "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
            "charts/sub/values.yaml": "k: default\n",
            "charts/sub/templates/s.yaml": "kind: ConfigMap\nmetadata:\n  name: s\ndata:\n  v: {{ toJson .Values }}\n",
        }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder, "c", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        file = Path(folder, "values.yaml")
        file.write_text(yaml.safe_dump(chosen, allow_unicode=True))
        theirs = helm_program(Path(folder, "c"), file, "--kube-version", "1.36.0")
        try:
            rendered = ours(Path(folder, "c"), file.read_text(), Settings("shop", "prod"))
        except (ChartWrong, DocumentError) as error:
            taken = theirs.returncode == 0
            return ("different", f"helm takes it, and ours says: {error.what}") if taken else ("refused", "")
        if theirs.returncode == 0:
            lines = difflib.unified_diff(theirs.stdout.splitlines(), rendered.splitlines(), "helm", "ours", lineterm="")
            return ("same", "") if rendered == theirs.stdout else ("different", "\n".join(lines) or "other line ends")
        # Helm reads each document before it prints it; ours does so when it makes objects of them.
        place = Place(str(Path(folder, "c")), "", settings=Render(helm=Helm(values=chosen)))
        refused = bool(render_folder(request_of(place)).problems)
        return ("refused", "") if refused else ("different", f"helm refuses it: {theirs.stderr}")


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(templates(), values, st.booleans())
def test_a_drawn_chart_comes_out_as_helm_makes_it(made: dict[str, str], chosen: dict[str, Any], sub: bool) -> None:
    for name, text in made.items():
        note(f"--- {name}\n{text}")
    note(yaml.safe_dump(chosen, allow_unicode=True))
    word, told = judge(made, chosen, sub)
    assert word != "different", told
