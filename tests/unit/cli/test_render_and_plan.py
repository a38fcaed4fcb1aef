"""``render`` and ``plan --path`` over a real repository, without a cluster: what is printed, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Done, Repo

Run = Callable[..., Done]

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - {name: web, image: "acme/shop:1.4.1"}
"""
OLD = "apiVersion: v1\nkind: Service\nmetadata: {name: old-web}\nspec: {ports: [{port: 80}]}\n"
LIMITS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web-limits}\ndata: {cpu: '2'}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {password: hunter2}\n"
BROKEN = WEB.replace("replicas: 2", "replicas: three")
SHOP = "apps/shop"


def start(repo: Repo) -> str:
    return repo.commit("Shop", **{f"{SHOP}/web.yaml": WEB, f"{SHOP}/old.yaml": OLD, f"{SHOP}/key.yaml": SECRET})


def test_a_path_renders_in_apply_order_and_without_our_marks(repo: Repo, run: Run) -> None:
    start(repo)
    done = run("render", SHOP)
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.startswith("kind:")] == [
        "kind: Secret",
        "kind: Service",
        "kind: Deployment",
    ]
    assert "windlass.dev" not in done.out
    items = json.loads(run("render", SHOP, "-o", "json").out)["items"]
    assert [one["kind"] for one in items] == ["Secret", "Service", "Deployment"]


def test_a_commit_renders_as_it_was(repo: Repo, run: Run) -> None:
    first = start(repo)
    repo.commit("Next", **{f"{SHOP}/web.yaml": WEB.replace("1.4.1", "1.4.2")})
    repo.write(f"{SHOP}/web.yaml", BROKEN)
    assert "acme/shop:1.4.1" in run("render", SHOP, "--commit", first[:10]).out
    assert "acme/shop:1.4.2" in run("render", SHOP, "--commit", "main").out
    assert "acme/shop:1.4.1" in run("render", SHOP, "--commit", "HEAD~1").out


def test_one_file_and_a_folder_outside_of_any_repository_render_too(repo: Repo, run: Run) -> None:
    start(repo)
    assert run("render", f"{SHOP}/old.yaml").out.count("kind:") == 1
    loose = repo.folder.parent / "loose"
    loose.mkdir()
    (loose / "a.yaml").write_text(LIMITS)
    assert "web-limits" in run("render", str(loose)).out
    refused = run("render", str(loose), "--commit", "main")
    assert refused.code == 1
    assert "is in no Git repository" in refused.err


def test_an_application_file_says_which_files_and_what_namespace(repo: Repo, run: Run) -> None:
    start(repo)
    app = (
        "apiVersion: windlass.dev/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n"
        "  source: {repository: config, path: apps/shop, exclude: [old.yaml]}\n  destination: {namespace: prod}\n"
    )
    repo.write("app.yaml", app)
    done = run("render", SHOP, "--app", "app.yaml")
    assert "old-web" not in done.out
    assert done.out.count("namespace: prod") == 2
    repo.write("app.yaml", app.replace("path:", "pth:"))
    wrong = run("render", SHOP, "--app", "app.yaml")
    assert (wrong.code, wrong.out) == (1, "")
    assert "app.yaml:1" in wrong.err


def test_a_mistake_is_told_with_file_line_and_mend_and_nothing_is_printed(repo: Repo, run: Run) -> None:
    start(repo)
    repo.write(f"{SHOP}/web.yaml", BROKEN)
    done = run("render", SHOP)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        'error: replicas must be an integer, not "three"\n'
        "   at  apps/shop/web.yaml:6, spec.replicas\n"
        "  mend replicas: 3            more: docs/errors.md#wrong-type\n"
    )


def test_the_work_tree_against_a_branch(repo: Repo, run: Run) -> None:
    start(repo)
    repo.write(f"{SHOP}/web.yaml", WEB.replace("1.4.1", "1.4.2"))
    repo.write(f"{SHOP}/old.yaml", None)
    repo.write(f"{SHOP}/limits.yaml", LIMITS)
    repo.write(f"{SHOP}/key.yaml", SECRET.replace("hunter2", "hunter3"))
    done = run("plan", "--path", SHOP, "--base", "main")
    assert done.code == 2
    assert done.out == (
        "+ ConfigMap/web-limits\n"
        "~ Secret/key\n"
        "    data.password   changed (values of Secrets are not shown)\n"
        "~ Deployment/web\n"
        "    spec.template.spec.containers[name=web].image   acme/shop:1.4.1 -> 1.4.2\n"
        "- Service/old-web        prune, 1 of at most 20\n"
        "1 created, 2 configured, 1 pruned\n"
    )
    assert "hunter" not in done.out


def test_two_commits_and_nothing_between_them(repo: Repo, run: Run) -> None:
    first = start(repo)
    second = repo.commit("Elsewhere", README="x")
    done = run("plan", "--path", SHOP, "--base", first, "--commit", second)
    assert (done.code, done.out) == (0, "3 unchanged\n")
    data = json.loads(run("plan", "--path", SHOP, "--base", first, "--commit", second, "-o", "json").out)
    assert (data["base"], data["commit"]) == (first, second)
    assert {one["action"] for one in data["changes"]} == {"unchanged"}


def test_a_plan_over_a_broken_work_tree_says_so(repo: Repo, run: Run) -> None:
    start(repo)
    repo.write(f"{SHOP}/web.yaml", BROKEN)
    done = run("plan", "--path", SHOP)
    assert (done.code, done.out) == (1, "")
    assert "web.yaml:6" in done.err


def test_an_object_that_is_wrong_by_itself_is_kept_and_told(repo: Repo, run: Run) -> None:
    start(repo)
    repo.write(
        f"{SHOP}/old.yaml", OLD.replace("{name: old-web}", "{name: old-web, annotations: {windlass.dev/wave: x}}")
    )
    done = run("plan", "--path", SHOP)
    assert done.code == 1
    assert "Service/old-web   kept: its manifest in Git is wrong; it stays as it is" in done.out
    assert "windlass.dev/wave" in done.err


def test_wrong_usage_has_its_own_exit_code(repo: Repo, run: Run) -> None:
    assert run("plan").code == 64
    assert run("plan", "shop", "--base", "main").code == 64
    assert run("sync", "shop", "--only", "web").code == 64
    assert run("status", "--watch", "-o", "json").code == 64
    assert run("nothing").code == 64


def test_breaking_the_glass_needs_a_commit_and_a_reason(run: Run) -> None:
    for words in (["--commit", "3f2c1ab", "--break-glass"], ["--break-glass", "--reason", "Git is down"]):
        done = run("sync", "shop", *words)
        assert done.code == 64
        assert "needs --commit COMMIT and --reason WHY" in done.err
    done = run("sync", "shop", "--commit", "3f2c1ab")
    assert done.code == 64
    assert "windlass rollback shop --to COMMIT" in done.err


def test_a_namespace_alone_does_not_freeze_the_whole_cluster(run: Run) -> None:
    for words in (["freeze", "-n", "shop", "--until", "2h", "--reason", "r"], ["resume", "-n", "shop"]):
        done = run(*words)
        assert done.code == 64
        assert "-n goes with APP" in done.err


def test_an_unknown_commit_says_where_to_look(repo: Repo, run: Run) -> None:
    start(repo)
    done = run("plan", "--path", SHOP, "--base", "nowhere")
    assert done.code == 1
    assert "there is no commit 'nowhere'" in done.err
    assert "git log --oneline" in done.err


def test_foreign_names_bring_no_escapes_to_the_terminal(repo: Repo, run: Run) -> None:
    start(repo)
    repo.write(f"{SHOP}/evil.yaml", 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "a\\e[31mb"}\n')
    repo.write(f"{SHOP}/data.yaml", 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: "x\\e]0;t\\ay"}\n')
    done = run("plan", "--path", SHOP)
    assert "\x1b" not in done.out + done.err
    repo.write(f"{SHOP}/evil.yaml", None)
    repo.commit("Data")
    repo.write(f"{SHOP}/data.yaml", 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: "x\\e[2Jz"}\n')
    done = run("plan", "--path", SHOP)
    assert done.code == 2
    assert "\x1b" not in done.out


def test_values_and_further_repositories_are_named_on_the_command_line(repo: Repo, run: Run) -> None:
    app = """\
apiVersion: windlass.dev/v1alpha1
kind: Application
metadata: {name: shop, namespace: shop}
spec:
  source: {repository: config, path: apps/shop}
  sources: [{name: lib, repository: libraries}]
  render:
    jsonnet: {libs: [$lib]}
    substitute: {from: [{configMap: vars}, {secret: keys}]}
"""
    values = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars}\ndata: {LEVEL: debug}\n---\n" + (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\ndata: {KEY: aHVudGVyMg==}\n"
    )
    make = "{map(name):: {apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: name}, data: {a: '${LEVEL} ${KEY}'}}}"
    repo.write(f"{SHOP}/main.jsonnet", "(import 'make.libsonnet').map('a')")
    repo.write("libraries/make.libsonnet", make)
    repo.write("app.yaml", app)
    repo.write("values.yaml", values)
    given = ("--app", "app.yaml", "--values-from", "values.yaml", "--source", "lib=libraries")
    done = run("render", SHOP, *given)
    assert done.code == 0, done.err
    assert "  a: debug hunter2\n" in done.out
    assert "a value of a Secret is put into this ConfigMap" in done.err
    done = run("render", SHOP, "--app", "app.yaml")
    assert done.code == 1
    assert "the render needs the ConfigMap vars" in done.err
    assert "--values-from FILE" in done.err
    done = run("render", SHOP, *given[:4])
    assert "--source lib=FOLDER" in done.err
    done = run("render", SHOP, *given[:4], "--source", "lib=nowhere")
    assert (done.code, "names no folder" in done.err) == (1, True)


def test_a_render_is_explained_by_what_made_and_changed_each_object_and_what_was_read(repo: Repo, run: Run) -> None:
    web = WEB.replace("acme/shop:1.4.1", "acme/shop:${TAG}")
    repo.write("base/kustomization.yaml", "resources: [web.yaml]\nconfigMapGenerator:\n- {name: a, literals: [x=1]}\n")
    repo.write("base/web.yaml", web)
    repo.write(
        "prod/kustomization.yaml", "resources: [../base]\nnamePrefix: prod-\nreplicas: [{name: web, count: 3}]\n"
    )
    repo.write(
        "app.yaml",
        "apiVersion: windlass.dev/v1alpha1\nkind: Application\nmetadata: {name: shop, namespace: shop}\n"
        "spec:\n  source: {repository: config, path: prod}\n  render: {substitute: {values: {TAG: '2.0'}}}\n",
    )
    done = run("render", "prod", "--app", "app.yaml", "--explain")
    assert done.code == 0, done.err
    assert (
        done.out
        == """\
prod: a kustomization

ConfigMap/prod-a-hmg6f82fh6  made by base/kustomization.yaml
  base/kustomization.yaml  configMapGenerator[0]
  prod/kustomization.yaml  namePrefix
Deployment/prod-web          base/web.yaml:1
  prod/kustomization.yaml        namePrefix
  prod/kustomization.yaml        replicas[0]
  spec.render.substitute.values  ${TAG}

read: 3 files, 2 folders listed
  base/kustomization.yaml
  base/web.yaml
  prod/kustomization.yaml
  base/
  prod/
looked for in vain: 4 names
  base/Kustomization
  base/kustomization.yml
  prod/Kustomization
  prod/kustomization.yml
"""
    )
    told = json.loads(run("render", "prod", "--app", "app.yaml", "--explain", "-o", "json").out)
    assert told["renderer"] == "kustomize"
    assert told["objects"][1]["steps"][-1] == {"place": "spec.render.substitute.values", "says": "${TAG}"}
    assert told["read"][""]["prod/Kustomization"] is None


def test_a_kustomization_outside_of_git_finds_its_bases_below_where_the_person_stands(
    repo: Repo, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    for name, text in {"base/kustomization.yaml": "resources: [web.yaml]\n", "base/web.yaml": WEB}.items():
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(text)
    (outside / "prod").mkdir()
    (outside / "prod" / "kustomization.yaml").write_text("resources: [../base]\nnamePrefix: prod-\n")
    monkeypatch.chdir(outside)
    done = run("render", "prod")
    assert (done.code, "name: prod-web" in done.out) == (0, True)


def test_two_commits_of_an_overlay_are_compared(repo: Repo, run: Run) -> None:
    repo.commit(
        "Shop",
        **{
            "base/kustomization.yaml": "resources: [web.yaml]\n",
            "base/web.yaml": WEB,
            "prod/kustomization.yaml": "resources: [../base]\nnamePrefix: prod-\n",
        },
    )
    repo.write("base/web.yaml", WEB.replace("1.4.1", "1.4.2"))
    done = run("plan", "--path", "prod")
    assert done.code == 2
    assert "Deployment/prod-web" in done.out
    assert "1.4.1" in done.out
    assert "1.4.2" in done.out


def test_the_file_that_a_folder_is_recognised_by_speaks_for_its_folder(repo: Repo, run: Run) -> None:
    repo.write("prod/kustomization.yaml", "resources: [web.yaml]\nnamePrefix: prod-\n")
    repo.write("prod/web.yaml", WEB)
    done = run("render", "prod/kustomization.yaml")
    assert (done.code, "name: prod-web" in done.out) == (0, True)
    assert "name: prod-web" not in run("render", "prod/web.yaml").out
