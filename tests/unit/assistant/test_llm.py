"""A language model that is slow, wrong, malicious, cut off or down: turns are answered anyway."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from components.assistant.llm import LanguageModel, ModelSettings, settings_from_environment
from tests.unit.assistant.shops import Talk, assistant


class Stub(BaseHTTPRequestHandler):
    mode = "good"
    commands: ClassVar[list] = []
    calls = 0
    said: ClassVar = staticmethod(lambda reply: reply)
    mode_of_words = "good"

    def log_message(self, *args):
        pass

    def do_POST(self):
        type(self).calls += 1
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps({"commands": self.commands})
        mode, told = self.mode, json.loads(asked["messages"][1]["content"])
        if "reply" in told:
            content = json.dumps({"reply": type(self).said(told["reply"])})
            mode = self.mode_of_words
        if mode == "slow":
            time.sleep(2.5)
        if mode == "down":
            self.send_response(503)
            self.end_headers()
            return
        raw = json.dumps(
            {"choices": [{"message": {"content": content}}], "usage": {"total_tokens": 50}}
        ).encode()
        if mode == "wrong":
            raw = b'{"choices": [{"message": {"content": "sure, here you go!"}}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw) * (2 if mode == "cut" else 1)))
        self.end_headers()
        try:
            self.wfile.write(raw)
        except BrokenPipeError:
            return


@pytest.fixture
def stub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Stub.calls, Stub.mode, Stub.commands, Stub.mode_of_words = 0, "good", [], "good"
    yield server
    server.shutdown()
    server.server_close()


def talk_to(server, **settings):
    model = LanguageModel(
        ModelSettings(
            url=f"http://127.0.0.1:{server.server_address[1]}", timeout_seconds=1.5, **settings
        )
    )
    return Talk(assistant(language_model=model)), model


def test_its_commands_are_run_and_named(stub):
    Stub.commands = [
        {"kind": "search", "query": "", "constraints": [{"field": "type", "values": ["lamp"]}]}
    ]
    talk, model = talk_to(stub)
    answer = talk("I would love some light in here")
    assert {p.product_id for p in answer.products} == {"p3", "p4"}
    assert answer.commands[0].origin == "llm"
    assert model.spent_tokens == 50


@pytest.mark.parametrize("mode", ["slow", "wrong", "cut", "down"])
def test_a_failing_model_is_replaced_in_the_same_turn(stub, mode):
    Stub.mode = mode
    talk, _ = talk_to(stub)
    answer = talk("show me lamps")
    assert {p.product_id for p in answer.products} == {"p3", "p4"}
    assert answer.commands[0].origin == "rules"
    assert "llm" in answer.degraded


@pytest.mark.parametrize(
    "commands",
    [
        [{"kind": "checkout_confirm", "confirmation_id": "c-1"}],
        [{"kind": "forget_me"}],
        [{"kind": "basket_set", "product_id": "p3", "quantity": 9}],
        [{"kind": "details", "product_id": "p999"}],
        [{"kind": "search", "constraints": [{"field": "secret", "values": ["x"]}]}],
        [{"kind": "launch_missiles"}],
        "not a list",
    ],
)
def test_a_malicious_model_is_not_believed(stub, commands):
    Stub.commands = commands
    talk, model = talk_to(stub)
    answer = talk("show me lamps")
    assert {p.product_id for p in answer.products} == {"p3", "p4"}
    assert answer.state["basket"] == []
    assert answer.commands[0].origin == "rules"
    assert model.last_refusal


def test_the_budget_and_the_rest_after_failures(stub):
    talk, _ = talk_to(stub, budget_tokens=0)
    talk("show me lamps")
    assert Stub.calls == 0
    Stub.mode = "down"
    talk, _ = talk_to(stub, give_up_after=2)
    for _ in range(4):
        talk("show me lamps")
    assert Stub.calls == 2


def test_settings_come_from_the_environment():
    assert settings_from_environment({}) is None
    made = settings_from_environment(
        {"SHELFWISE_LLM_URL": "http://x/v1/", "SHELFWISE_LLM_TIMEOUT_SECONDS": "2"}
    )
    assert made is not None
    assert made.url == "http://x/v1"
    assert made.timeout_seconds == 2.0


def rephrasing(server, said):
    """A talk in which the model refuses to give commands and puts replies into these words."""
    talk, model = talk_to(server, rephrase=True, give_up_after=1000)
    Stub.said = said
    return talk, model


def test_a_faithful_rephrasing_is_sent_and_named(stub):
    plain = Talk(assistant())("show me the Pico table lamp").reply
    Stub.commands = [{"kind": "search", "constraints": [{"field": "type", "values": ["lamp"]}]}]
    talk, _ = rephrasing(stub, lambda reply: f"Sure, here you are: {reply}")
    answer = talk("show me lamps")
    assert answer.reply.startswith("Sure, here you are: ")
    assert answer.phrased_by == "llm"
    assert answer.degraded == ()
    assert plain


@pytest.mark.parametrize(
    "said",
    [
        lambda r: r.replace("75", "57"),  # another price
        lambda r: r.replace("€25.00", "€75.00", 1),  # the other product's price
        lambda r: " ".join(reversed(r.split())),  # names and prices mixed up
        lambda r: r + " They are all waterproof.",  # an invented quality
        lambda r: r + " Only 2 left!",
        lambda r: "Not " + r,
        lambda r: r + " <script>alert(1)</script>",
        lambda r: r + " Shall I order it?",
        lambda r: r + " Visit http://example.test.",
        lambda r: "好的。" + r,
        lambda r: r.split(":")[0] + ".",  # leaves the facts out
        lambda r: "",
        lambda r: ["a", "list"],
        lambda r: None,
    ],
)
def test_a_rephrasing_that_adds_or_changes_a_fact_is_not_sent(stub, said):
    Stub.commands = [{"kind": "search", "constraints": [{"field": "type", "values": ["lamp"]}]}]
    plain = talk_to(stub)[0]("show me lamps")
    talk, _ = rephrasing(stub, said)
    answer = talk("show me lamps")
    assert answer.reply == plain.reply
    assert answer.phrased_by == "templates"
    assert answer.degraded == ("llm_words",)
    assert answer.commands[0].origin == "llm"


@pytest.mark.parametrize("mode", ["slow", "wrong", "cut", "down"])
def test_a_model_that_fails_at_the_words_leaves_them_as_they_are(stub, mode):
    Stub.commands = [{"kind": "search", "constraints": [{"field": "type", "values": ["lamp"]}]}]
    talk, _ = rephrasing(stub, lambda r: r)
    Stub.mode_of_words = mode
    answer = talk("show me lamps")
    assert {p.product_id for p in answer.products} == {"p3", "p4"}
    assert answer.phrased_by == "templates"
    assert answer.degraded == ("llm_words",)


def test_words_that_ask_for_consent_are_never_rephrased(stub):
    Stub.commands = []
    talk, _ = rephrasing(stub, lambda r: f"Sure, {r}")
    talk("add the Pico table lamp")
    assert talk("checkout").phrased_by == "templates"
