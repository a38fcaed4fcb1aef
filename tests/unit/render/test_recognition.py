"""What a folder is taken for: by its names, and by what the Application says where those leave it open."""

from __future__ import annotations

from memory import rendered

from windlass.core.kinds.rendering import Plain, Render

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def test_plain_where_it_is_said_leaves_files_of_other_renderers_out() -> None:
    files = {
        "a.yaml": CONFIG,
        "kustomization.yaml": "namePrefix: x-\n",
        "below/kustomization.yml": "resources: [../a.yaml]\n",
        "below/main.jsonnet": "{}",
    }
    result = rendered(files, settings=Render(plain=Plain()))
    assert [one.ref.name for one in result.objects] == ["a"]
    assert result.problems == []
    assert [one.slug for one in rendered(files | {"below/a.yaml": CONFIG}, path="below").problems] == ["two-readings"]
