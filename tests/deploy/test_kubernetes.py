"""The base for Kubernetes, merged as kustomize does: judged by the schemas and by the command line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli_arguments import check_arguments
from support.deploy_tools import run
from support.unit_files import DEPLOY

BASE = DEPLOY / "kubernetes"

Object = dict[str, Any]


def read_all(text: str) -> list[Object]:
    yaml = pytest.importorskip("yaml", reason="no YAML reader: pip install 'votenet[dev]'")
    return [each for each in yaml.safe_load_all(text) if each]


def merged() -> list[Object]:
    """What `kubectl kustomize` prints, of the few things that our kustomization uses."""
    (told,) = read_all((BASE / "kustomization.yaml").read_text())
    assert set(told) == {"apiVersion", "kind", "namespace", "resources", "images"}
    images = {one["name"]: f"{one['newName']}:{one['newTag']}" for one in told["images"]}
    found = [each for name in told["resources"] for each in read_all((BASE / name).read_text())]
    for each in found:
        if each["kind"] != "Namespace":
            each["metadata"]["namespace"] = told["namespace"]
        for container in containers(each):
            container["image"] = images[container["image"]]
    return found


def pod_of(each: Object) -> Object:
    found: Object = each.get("spec", {}).get("template", {}).get("spec", {})
    return found


def containers(each: Object) -> Iterator[Object]:
    yield from pod_of(each).get("initContainers", [])
    yield from pod_of(each).get("containers", [])


def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def test_the_schemas_of_kubernetes_accept_each_object(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="no YAML reader: pip install 'votenet[dev]'")
    pytest.importorskip("kubernetes_validate", reason="no kubernetes-validate: pip install 'votenet[dev]'")
    program = str(Path(sys.executable).parent / "kubernetes-validate")
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(merged()))
    run(program, "--strict", path)
    wrong = path.read_text().replace("podManagementPolicy", "podManagmentPolicy")
    path.write_text(wrong)
    with pytest.raises(AssertionError, match="podManagmentPolicy"):
        run(program, "--strict", path)


def test_kustomize_makes_the_same_of_it() -> None:
    """Where kubectl is installed; the merge above is what the other tests look at."""
    program = shutil.which("kubectl")
    if program is not None:
        assert by_name(read_all(run(program, "kustomize", BASE))) == by_name(merged())
    assert len(by_name(merged())) == len(merged())


def test_the_command_line_takes_the_arguments_of_each_container() -> None:
    seen = 0
    for each in merged():
        for container in containers(each):
            words = [word.replace("$(POD_NAME)", "votenet-node-0") for word in container["args"]]
            check_arguments([word.replace("$(POD_NAMESPACE)", "votenet") for word in words])
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if "exec" in container.get(probe, {}):
                    assert container[probe]["exec"]["command"][0] == "votenet"
                    check_arguments(container[probe]["exec"]["command"][1:])
            seen += 1
    assert seen == 4


def test_each_pod_may_do_nothing_that_it_does_not_need() -> None:
    for each in merged():
        for container in containers(each):
            assert pod_of(each)["securityContext"]["runAsNonRoot"] is True
            assert pod_of(each)["automountServiceAccountToken"] is False
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} == set(container["resources"])


def test_services_budgets_and_rules_find_their_pods() -> None:
    """A selector without a pod is silent in a cluster."""
    objects = merged()
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in objects if pod_of(each)]
    for each in objects:
        spec = each.get("spec", {})
        wanted = spec.get("podSelector", spec.get("selector"))
        if wanted is not None:
            wanted = wanted.get("matchLabels", wanted)
            assert any(wanted.items() <= those.items() for those in labels), each["metadata"]["name"]
    kinds = {
        (each["kind"], each["metadata"]["labels"].get("app.kubernetes.io/component")) for each in objects
    }
    for part in ("node", "bootstrap", "web"):
        assert {("Service", part), ("NetworkPolicy", part)} <= kinds


def test_nobody_can_forge_the_addresses_of_readers() -> None:
    """The base believes X-Forwarded-For from nobody, and one namespace alone reaches the page."""
    objects = by_name(merged())
    (page,) = containers(objects["Deployment", "votenet-web"])
    assert not [word for word in page["args"] if word.startswith("--trusted-proxy")]
    (rule,) = objects["NetworkPolicy", "votenet-web"]["spec"]["ingress"]
    (source,) = rule["from"]
    assert set(source) == {"namespaceSelector"}
    assert set(source["namespaceSelector"]["matchLabels"]) == {"kubernetes.io/metadata.name"}
    assert [port["port"] for port in rule["ports"]] == [8080]


def test_nodes_keep_name_and_volume_and_are_spread_over_machines() -> None:
    objects = by_name(merged())
    nodes = objects["StatefulSet", "votenet-node"]
    assert objects["Service", nodes["spec"]["serviceName"]]["spec"]["clusterIP"] == "None"
    (claim,) = nodes["spec"]["volumeClaimTemplates"]
    (container,) = pod_of(nodes)["containers"]
    mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounted[claim["metadata"]["name"]] == "/var/lib/votenet"
    assert any(word.startswith("--data-dir=/var/lib/votenet/") for word in container["args"])
    assert "podAntiAffinity" in pod_of(nodes)["affinity"]
    assert objects["PodDisruptionBudget", "votenet-node"]["spec"]["maxUnavailable"] == 1
