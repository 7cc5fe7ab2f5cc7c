"""What the services say about themselves: landing page, conformance, processes, OpenAPI."""

from __future__ import annotations

import json

import jsonschema
import pytest

import ogc
from serving import served, settings
from workbench import kernel
from workbench_api import app
from workbench_api.openapi import MEDIA_TYPE_30
from workbench_api.processes import CONFORMANCE

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_landing_page_links_to_all_that_the_standard_asks_for(client):
    content = client.get("/").json()
    ogc.check(content, ogc.LANDING)
    rels = {link["rel"] for link in content["links"]}
    rel = "http://www.opengis.net/def/rel/ogc/1.0/"
    assert {
        "self",
        "alternate",
        "service-desc",
        "service-doc",
        f"{rel}conformance",
        f"{rel}processes",
    } <= rels
    for link in content["links"]:
        answer = client.get(link["href"], headers={"Accept": link["type"]})
        assert answer.status_code == 200, link
        assert answer.headers["Content-Type"].split(";")[0] == link["type"].split(";")[0]


def test_conformance_lists_the_classes_that_are_kept(client):
    content = client.get("/conformance").json()
    ogc.check(content, ogc.CONFORMANCE)
    assert content["conformsTo"] == list(CONFORMANCE)
    assert "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core" in CONFORMANCE


def test_every_kernel_is_a_process_and_nothing_else(client):
    content = client.get("/processes", params={"limit": 10000}).json()
    ogc.check(content, ogc.PROCESS_LIST)
    assert [entry["id"] for entry in content["processes"]] == list(kernel.kernels())
    assert {link["rel"] for link in content["links"]} == {"self", "alternate"}


@pytest.mark.parametrize("process", list(kernel.kernels()))
def test_descriptions_are_true_to_the_standards_schema(client, process):
    content = client.get(f"/processes/{process}").json()
    ogc.check(content, ogc.PROCESS)
    assert content["id"] == process
    assert content["jobControlOptions"] == ["sync-execute"]
    assert content["outputs"]
    for described in content["inputs"].values():
        if "default" in described["schema"] and described["schema"]["default"] is not None:
            assert described["minOccurs"] == 0
            jsonschema.validate(described["schema"]["default"], described["schema"])
    execute = [link for link in content["links"] if link["rel"].endswith("/execute")]
    assert execute[0]["href"] == str(client.base_url.join(f"/processes/{process}/execution"))


def test_lists_are_limited_and_go_on(client):
    seen: list[str] = []
    path = "/processes?limit=2"
    while path:
        content = client.get(path).json()
        assert len(content["processes"]) <= 2
        seen += [entry["id"] for entry in content["processes"]]
        path = next((link["href"] for link in content["links"] if link["rel"] == "next"), "")
    assert seen == list(kernel.kernels())
    for limit in ("0", "10001", "-1", "many", "1.5"):
        answer = client.get("/processes", params={"limit": limit})
        assert answer.status_code == 400
        ogc.check(answer.json(), ogc.PROBLEM)


def test_an_unknown_process_is_the_standards_own_problem(client):
    for answer in (
        client.get("/processes/triggers.nothing"),
        client.post("/processes/triggers.nothing/execution"),
    ):
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (
            answer.json()["type"]
            == "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-process"
        )
        assert "triggers.sta_lta" in answer.json()["detail"]


def test_what_is_not_there_is_a_problem_too(client):
    for method, path, status in [
        ("GET", "/nothing", 404),
        ("DELETE", "/processes", 405),
        ("GET", "/static/x", 404),
    ]:
        answer = client.request(method, path)
        assert answer.status_code == status
        ogc.check(answer.json(), ogc.PROBLEM)


@pytest.mark.parametrize(
    "path", ["/", "/processes", "/processes/triggers.sta_lta", "/conformance", "/api.html"]
)
def test_pages_need_nothing_from_elsewhere(client, path):
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for attribute in ('src="http', 'rel="stylesheet" href="http', "@import"):
        assert attribute not in answer.text


@pytest.mark.parametrize("process", list(kernel.kernels()))
def test_each_process_has_a_form_with_all_its_inputs(client, process):
    page = client.get(f"/processes/{process}", headers=HTML).text
    for item in kernel.get(process).inputs:
        assert f'data-input="{item.name}"' in page
    for name in kernel.get(process).settings.model_fields:
        assert f'name="{name}"' in page


def test_openapi_is_whole_and_of_the_type_that_clients_ask_for(client):
    answer = client.get("/api", headers={"Accept": MEDIA_TYPE_30})
    assert answer.headers["Content-Type"] == MEDIA_TYPE_30
    document = answer.json()
    assert document["openapi"].startswith("3.0")
    text = json.dumps(document)
    assert '"$ref": "http' not in text
    assert '"null"' not in text
    assert set(document["paths"]) == {
        "/",
        "/conformance",
        "/processes",
        "/processes/{process}",
        "/processes/{process}/execution",
    }
    declared = set(document["paths"]["/processes/{process}/execution"]["post"]["responses"])
    assert {"200", "400", "401", "403", "404", "406", "413", "422", "500", "503"} == declared
    newer = client.get("/api", headers={"Accept": "application/vnd.oai.openapi+json;version=3.1"}).json()
    assert newer["openapi"].startswith("3.1")


def test_every_link_respects_the_prefix():
    with served(app.create(settings(), prefix="/services/workbench/")) as client:
        assert client.get("/").status_code == 404
        base = str(client.base_url.join("/services/workbench/"))
        for path in ("", "processes", "processes/triggers.sta_lta"):
            links = client.get(f"/services/workbench/{path}").json()["links"]
            assert links
            assert all(link["href"].startswith(base) for link in links)
        assert client.get("/services/workbench/api").json()["servers"] == [{"url": base.rstrip("/")}]
        page = client.get("/services/workbench/", headers=HTML).text
        assert 'href="/services/workbench/static/style.css"' in page
        assert 'href="/processes' not in page


def test_health_ready_and_metrics(client):
    assert client.get("/health").json() == {"status": "well"}
    assert client.get("/ready").json() == {"status": "ready"}
    text = client.get("/metrics").text
    assert "workbench_requests_total" in text
    assert 'route="/processes/{process}"' in text
