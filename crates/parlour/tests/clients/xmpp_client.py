"""Real XMPP clients (slixmpp) against a server, one scenario per run.

usage: xmpp_client.py SCENARIO --port N --tls-port N --ca FILE [--domain falcot.com]

Accounts: roland, joe and nina, password "secret-NAME". Ends with 0 when everything went as it should;
otherwise it says what did not.
"""

import argparse
import asyncio
import contextlib
import logging
import sys

from slixmpp import ClientXMPP, ComponentXMPP
from slixmpp.exceptions import IqError

PATIENCE = 20


class Failed(Exception):
    """Something did not go as it should."""


def expect(condition, what):
    if not condition:
        raise Failed(what)


class Client(ClientXMPP):
    """One client that remembers what it was told."""

    def __init__(self, house, user, *, password=None, resource="test", mechanism=None, direct=False):
        self.house = house
        address = f"{user}@{house.domain}" + (f"/{resource}" if resource else "")
        super().__init__(address, password or f"secret-{user}", sasl_mech=mechanism)
        self.ca_certs = house.ca
        self.enable_direct_tls = direct
        self.enable_starttls = not direct
        self.auto_authorize = None
        self.auto_subscribe = False
        self.messages = []
        self.presences = []
        self.events_seen = []
        self.changed = asyncio.Event()
        for plugin in ("xep_0030", "xep_0092", "xep_0199", "xep_0202", "xep_0203"):
            self.register_plugin(plugin)
        self.add_event_handler("message", lambda m: self.remember(self.messages, m))
        for name in ("presence_available", "presence_away", "presence_unavailable", "presence_subscribe",
                     "presence_subscribed", "presence_unsubscribe", "presence_unsubscribed"):
            self.add_event_handler(name, lambda p: self.remember(self.presences, p))
        for name in ("session_start", "failed_auth", "failed_all_auth", "disconnected", "stream_error"):
            self.add_event_handler(name, lambda _, name=name: self.remember(self.events_seen, name))
        self.mechanism_used = None
        self.add_event_handler("auth_success", self.note_mechanism)

    def note_mechanism(self, _):
        self.mechanism_used = self.plugin["feature_mechanisms"].mech.name

    def remember(self, where, what):
        where.append(what)
        self.changed.set()

    async def until(self, condition, what, patience=PATIENCE):
        """Waits until `condition()` holds; its value."""
        end = asyncio.get_running_loop().time() + patience
        while not (value := condition()):
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                raise Failed(f"{self.boundjid}: {what}; events {self.events_seen}, "
                             f"messages {[str(m) for m in self.messages]}, "
                             f"presences {[str(p) for p in self.presences]}")
            self.changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.changed.wait(), min(left, 0.2))
        return value

    async def log_in(self, present=True):
        port = self.house.tls_port if self.enable_direct_tls else self.house.port
        self.connect("127.0.0.1", port)
        await self.until(lambda: "session_start" in self.events_seen, "does not log in")
        await self.roster_items()
        if present:
            self.send_presence()
            await self.until(lambda: self.seen("available", self.boundjid.full), "its own presence does not come back")
        return self

    async def leave(self):
        await self.disconnect(wait=2.0)

    async def roster_items(self):
        """The roster as the server has it: {address: subscription}."""
        # Without a version, so that the answer is never "as you know it".
        iq = self.Iq(stype="get")
        iq.enable("roster")
        iq = await iq.send(timeout=PATIENCE)
        return {str(jid): item["subscription"] for jid, item in iq["roster"]["items"].items()}

    def seen(self, kind, sender, show=None):
        return any(p["type"] == kind or (kind == "available" and p["type"] in ("away", "chat", "dnd", "xa"))
                   for p in self.presences
                   if sender in (p["from"].full, p["from"].bare) and (show is None or p["show"] == show))

    def bodies(self):
        return [m["body"] for m in self.messages if m["type"] in ("chat", "normal") and m["body"]]

    def say(self, to, body):
        self.send_message(mto=to, mbody=body, mtype="chat")

    async def ping(self):
        """Comes back when everything sent before is done: the server answers in order."""
        await self.plugin["xep_0199"].ping(self.house.domain, timeout=PATIENCE)


class House:
    """Where the server is."""

    def __init__(self, options):
        self.domain = options.domain
        self.port = options.port
        self.tls_port = options.tls_port
        self.ca = options.ca
        self.acknowledged = options.acknowledged
        self.certificate = options.certificate
        self.component_port = options.component_port

    def address(self, user):
        return f"{user}@{self.domain}"


async def befriend(asking, asked):
    """Both see one another's presence afterwards."""
    me, them = asking.boundjid.bare, asked.boundjid.bare
    for one, other, one_name, other_name in ((asking, asked, me, them), (asked, asking, them, me)):
        one.send_presence_subscription(pto=other_name, ptype="subscribe")
        await other.until(lambda: other.seen("subscribe", one_name), f"{one_name} asks {other_name} in vain")
        other.send_presence_subscription(pto=one_name, ptype="subscribed")
        await one.until(lambda: one.seen("subscribed", other_name), f"{other_name} says yes in vain")
    for one, other_name in ((asking, them), (asked, me)):
        items = await one.roster_items()
        expect(items.get(other_name) == "both", f"the roster of {one.boundjid.bare} is {items}")


async def chat(house):
    """Two clients, one over STARTTLS and one over direct TLS: rosters, subscriptions, presence, messages."""
    roland = await Client(house, "roland", mechanism="SCRAM-SHA-256").log_in()
    joe = await Client(house, "joe", mechanism="SCRAM-SHA-1", direct=True).log_in()
    expect(roland.mechanism_used == "SCRAM-SHA-256", f"roland signed in by {roland.mechanism_used}")
    expect(joe.mechanism_used == "SCRAM-SHA-1", f"joe signed in by {joe.mechanism_used}")
    expect(await roland.roster_items() == {}, "roland's roster is not empty at first")
    await befriend(roland, joe)
    await roland.until(lambda: roland.seen("available", joe.boundjid.full), "roland does not see joe")
    await joe.until(lambda: joe.seen("available", roland.boundjid.full), "joe does not see roland")
    joe.send_presence(pshow="away", pstatus="at lunch")
    await roland.until(lambda: roland.seen("available", joe.boundjid.full, "away"), "roland does not see joe go to lunch")
    await talk(roland, joe)
    await ask_server(house, roland)
    await joe.leave()
    await roland.until(lambda: roland.seen("unavailable", joe.boundjid.full), "roland does not see joe leave")
    await roland.leave()


async def talk(roland, joe):
    """Messages arrive whole, once and in order, to the bare and to the full address."""
    odd = "<Ça va?> & \"d'accord\" — 你好 😀\nsecond line"
    roland.say(joe.boundjid.bare, odd)
    await joe.until(lambda: odd in joe.bodies(), "joe does not hear roland")
    expect(joe.messages[-1]["from"] == roland.boundjid.full, f"it came from {joe.messages[-1]['from']}")
    many = [f"number {n}" for n in range(100)]
    for body in many:
        joe.say(roland.boundjid.full, body)
    await roland.until(lambda: len(roland.bodies()) >= len(many), "roland does not hear all that joe says")
    expect(roland.bodies() == many, "messages are out of order")
    large = "x" * 60_000
    joe.say(roland.boundjid.full, large)
    await roland.until(lambda: roland.bodies()[-1] == large, "a large message does not arrive")


async def ask_server(house, client):
    """What the server itself answers."""
    info = await client.plugin["xep_0030"].get_info(jid=house.domain, timeout=PATIENCE)
    kinds = {(identity[0], identity[1]) for identity in info["disco_info"]["identities"]}
    expect(("server", "im") in kinds, f"the server says it is {kinds}")
    expect("urn:xmpp:ping" in info["disco_info"]["features"], "the server does not tell of ping")
    await client.plugin["xep_0030"].get_items(jid=house.domain, timeout=PATIENCE)
    await client.ping()
    iq = client.make_iq_get(queryxmlns="urn:example:unknown", ito=house.domain)
    try:
        await iq.send(timeout=PATIENCE)
        raise Failed("an unknown question has an answer")
    except IqError as error:
        condition = error.iq["error"]["condition"]
        expect(condition in ("service-unavailable", "feature-not-implemented"), f"an unknown question: {condition}")


async def mechanisms(house):
    """Each mechanism, over STARTTLS and over direct TLS; with a resource, and with one that the server makes."""
    for direct in (False, True):
        for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            client = Client(house, "nina", resource=mechanism, mechanism=mechanism, direct=direct)
            await client.log_in()
            expect(client.mechanism_used == mechanism, f"signed in by {client.mechanism_used}")
            expect(client.boundjid.full == f"nina@{house.domain}/{mechanism}", f"bound as {client.boundjid}")
            await client.leave()
    client = await Client(house, "nina", resource=None).log_in()
    expect(client.boundjid.resource, "no resource was made")
    await client.leave()


async def resume(house):
    """Roland's connection is lost twice: his session goes on, every message arrives once and in order (XEP-0198, XEP-0352)."""
    joe = await Client(house, "joe").log_in()
    roland = Client(house, "roland", direct=True)
    for plugin in ("xep_0198", "xep_0352"):
        roland.register_plugin(plugin)
    for name in ("sm_enabled", "session_resumed", "sm_failed"):
        roland.add_event_handler(name, lambda _, name=name: roland.remember(roland.events_seen, name))
    await roland.log_in()
    await roland.until(lambda: "sm_enabled" in roland.events_seen, "stream management is not enabled")
    roland.plugin["xep_0352"].send_inactive()
    expected = []
    for round in range(2):
        for n in range(7):
            expected.append(f"{round}.{n}")
            joe.say(house.address("roland"), expected[-1])
        await roland.until(lambda: roland.bodies() == expected, f"before {round}: not {expected}")
        roland.events_seen.clear()
        roland.transport.abort()
        await roland.until(lambda: "disconnected" in roland.events_seen, "the connection is not lost")
        for n in range(7):
            expected.append(f"{round}.away.{n}")
            joe.say(house.address("roland"), expected[-1])
        await joe.ping()
        roland.cancel_connection_attempt()
        roland.connect("127.0.0.1", house.tls_port)
        await roland.until(lambda: "session_resumed" in roland.events_seen, "the session is not resumed")
        await roland.until(lambda: roland.bodies() == expected, f"after {round}: not {expected}")
        expect("session_start" not in roland.events_seen, "a new session began")
    expect(not joe.seen("unavailable", roland.boundjid.bare), "roland was seen to go")
    expect(not [m for m in joe.messages if m["type"] == "error"], "a message was refused")
    await asyncio.sleep(0.3)
    await roland.ping()
    expect(roland.bodies() == expected, f"something came twice: {roland.bodies()}")
    roland.say(joe.boundjid.full, "back")
    await joe.until(lambda: joe.bodies() == ["back"], "roland is not heard")
    await roland.leave()
    await joe.leave()


async def certificate(house):
    """Roland signs in by a certificate, with STARTTLS and with direct TLS, and is refused where it was taken back."""
    for direct in (False, True):
        roland = Client(house, "roland", mechanism="EXTERNAL", direct=direct, password="not this")
        roland.certfile = roland.keyfile = house.certificate
        await roland.log_in()
        expect(roland.mechanism_used == "EXTERNAL", f"roland signed in by {roland.mechanism_used}")
        await roland.ping()
        await roland.leave()


async def certificate_taken_back(house):
    """The same certificate signs nobody in any more."""
    roland = Client(house, "roland", mechanism="EXTERNAL", password="not this")
    roland.certfile = roland.keyfile = house.certificate
    roland.connect("127.0.0.1", house.port)
    await roland.until(lambda: "failed_auth" in roland.events_seen, "is not refused")
    expect("session_start" not in roland.events_seen, "signed in")
    await roland.leave()


class Echo(ComponentXMPP):
    """A component that says everything again."""

    def __init__(self, house, secret="sesame"):
        super().__init__(f"echo.{house.domain}", secret, "127.0.0.1", house.component_port)
        for plugin in ("xep_0030", "xep_0092", "xep_0199"):
            self.register_plugin(plugin)
        self.heard = []
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.ready.set())
        self.add_event_handler("disconnected", lambda _: self.over.set())
        self.add_event_handler("message", self.answer)

    def answer(self, message):
        self.heard.append(message["body"])
        if message["type"] in ("chat", "normal") and message["body"]:
            message.reply(f"echo: {message['body']}").send()


async def component(house):
    """A component is found, written to and heard by a user; one with another secret is none."""
    echo = Echo(house)
    echo.connect()
    await asyncio.wait_for(echo.ready.wait(), PATIENCE)
    roland = await Client(house, "roland").log_in()
    items = await roland.plugin["xep_0030"].get_items(jid=house.domain, timeout=PATIENCE)
    names = [str(item[0]) for item in items["disco_items"]["items"]]
    expect(f"echo.{house.domain}" in names, f"the domain lists {names}")
    info = await roland.plugin["xep_0030"].get_info(jid=f"echo.{house.domain}", timeout=PATIENCE)
    expect("http://jabber.org/protocol/disco#info" in info["disco_info"]["features"], f"it says {info}")
    await roland.plugin["xep_0199"].ping(f"echo.{house.domain}", timeout=PATIENCE)
    await echo.plugin["xep_0199"].ping(house.domain, ifrom=f"echo.{house.domain}", timeout=PATIENCE)
    for n in range(20):
        roland.say(f"bot@echo.{house.domain}", str(n))
    expected = [f"echo: {n}" for n in range(20)]
    await roland.until(lambda: roland.bodies() == expected, f"not {expected}")
    expect(echo.heard == [str(n) for n in range(20)], f"the component heard {echo.heard}")
    stranger = Echo(house, "barley")
    stranger.connect()
    await asyncio.wait_for(stranger.over.wait(), PATIENCE)
    expect(not stranger.ready.is_set(), "another secret is taken")
    stranger.abort()
    roland.say(f"bot@echo.{house.domain}", "still there")
    await roland.until(lambda: roland.bodies()[-1:] == ["echo: still there"], "the component is gone")
    await echo.disconnect(wait=2.0)
    refused = []
    roland.add_event_handler("message_error", lambda m: roland.remember(refused, m))
    roland.say(f"bot@echo.{house.domain}", "away")
    await roland.until(lambda: refused, "nobody says that it is away")
    expect(refused[0]["error"]["condition"] == "remote-server-timeout", f"{refused[0]}")
    await roland.leave()


async def wrong_password(house):
    """A wrong password and an account that does not exist are refused alike, while others stay signed in."""
    witness = await Client(house, "joe").log_in()
    for user, password in (("roland", "secret-joe"), ("nobody", "secret-nobody")):
        client = Client(house, user, password=password)
        client.connect("127.0.0.1", house.port)
        await client.until(lambda: "failed_auth" in client.events_seen, "a wrong password is not refused")
        await client.until(lambda: "disconnected" in client.events_seen, "a wrong password keeps its connection")
        expect("session_start" not in client.events_seen, "a wrong password signs in")
        client.cancel_connection_attempt()
    await witness.ping()
    await witness.leave()


async def away_send(house):
    """Joe writes to roland, who is not there. Once the server answers, the messages are kept."""
    joe = await Client(house, "joe").log_in()
    for n in range(20):
        joe.say(house.address("roland"), f"while you were out {n}")
    await joe.ping()
    expect(not [m for m in joe.messages if m["type"] == "error"], "a message to somebody away is refused")
    print("kept", flush=True)
    await joe.leave()


async def away_receive(house):
    """Roland comes back: the messages are there, in order, with their time; and only once."""
    roland = await Client(house, "roland").log_in()
    expected = [f"while you were out {n}" for n in range(20)]
    await roland.until(lambda: len(roland.bodies()) >= 20, "the messages do not arrive")
    await roland.ping()
    expect(roland.bodies() == expected, f"the messages are {roland.bodies()}")
    for message in roland.messages:
        expect(message["delay"]["stamp"], "a message does not say when it was sent")
        expect(message["from"].bare == house.address("joe"), f"a message came from {message['from']}")
    await asyncio.sleep(0.5)
    await roland.leave()
    roland = await Client(house, "roland").log_in()
    await asyncio.sleep(0.5)
    await roland.ping()
    expect(roland.bodies() == [], "the messages come a second time")
    await roland.leave()


async def friends(house):
    """What `chat` arranged still holds."""
    roland = await Client(house, "roland").log_in()
    joe = await Client(house, "joe").log_in()
    for client, other in ((roland, "joe"), (joe, "roland")):
        items = await client.roster_items()
        expect(items == {house.address(other): "both"}, f"the roster of {client.boundjid.bare} is {items}")
    await roland.until(lambda: roland.seen("available", joe.boundjid.full), "roland does not see joe")
    await joe.until(lambda: joe.seen("available", roland.boundjid.full), "joe does not see roland")
    await roland.leave()
    await joe.leave()


async def roster(house):
    """Contacts with names and groups, pushed to the other session, and removed again."""
    desk = await Client(house, "nina", resource="desk").log_in()
    phone = await Client(house, "nina", resource="phone", direct=True).log_in()
    pushes = []
    phone.add_event_handler("roster_update", lambda iq: phone.remember(pushes, iq))
    joe = house.address("joe")
    await desk.update_roster(joe, name="Joe <& co>", groups=["work", "caf\u00e9"])
    item = lambda: next((iq["roster"]["items"][joe] for iq in pushes if iq["type"] == "set" and joe in iq["roster"]["items"]), None)
    pushed = await phone.until(item, "a new contact is not pushed to the other session")
    expect(pushed["name"] == "Joe <& co>", f"its name is {pushed['name']}")
    expect(sorted(pushed["groups"]) == ["caf\u00e9", "work"], f"its groups are {pushed['groups']}")
    await desk.ping()
    pushes.clear()
    await desk.del_roster_item(joe)
    removed = await phone.until(item, "a removed contact is not pushed")
    expect(removed["subscription"] == "remove", f"it is {removed['subscription']}")
    expect(await phone.roster_items() == {}, "the contact is still there")
    await desk.leave()
    await phone.leave()


async def stay(house):
    """Stays signed in and answers, until told otherwise by the end of the process."""
    client = await Client(house, "nina", resource="witness").log_in()
    print("here", flush=True)
    while True:
        await client.ping()
        print("alive", flush=True)
        await asyncio.sleep(0.3)


async def load(house):
    """Writes to roland, who is away, and adds contacts, as fast as the server acknowledges it; ends with the server."""

    async def write(user):
        client = await Client(house, user).log_in()
        for n in range(400):
            client.say(house.address("roland"), f"{user} {n}")
            await client.ping()
            print(f"kept {user} {n}", flush=True)

    async def collect():
        client = await Client(house, "nina", resource="collector", direct=True).log_in()
        for n in range(400):
            await client.update_roster(house.address(f"contact{n}"), name=f"Contact {n}")
            print(f"kept contact {n}", flush=True)

    await asyncio.gather(write("joe"), write("nina"), collect())


async def after_load(house):
    """What `load` was told is kept is there: every message once and in order, every contact."""
    acknowledged = {name: int(n) for name, n in (pair.split("=") for pair in house.acknowledged.split(","))}
    nina = await Client(house, "nina").log_in(present=False)
    contacts = await nina.roster_items()
    missing = [n for n in range(acknowledged["contact"] + 1) if house.address(f"contact{n}") not in contacts]
    expect(not missing, f"contacts {missing} of {acknowledged['contact']} are lost")
    for address in contacts:
        await nina.update_roster(address, subscription="remove")
    await nina.leave()
    roland = await Client(house, "roland").log_in()
    numbers_of = lambda user: [int(body.split()[1]) for body in roland.bodies() if body.startswith(user)]
    for user in ("joe", "nina"):
        with contextlib.suppress(Failed):
            await roland.until(lambda: len(numbers_of(user)) > acknowledged[user], "messages are missing", 5)
    await roland.ping()
    for user in ("joe", "nina"):
        numbers = numbers_of(user)
        expect(numbers == list(range(len(numbers))), f"{user}'s messages are {numbers}")
        expect(len(numbers) > acknowledged[user], f"{user} was told of {acknowledged[user]}, {len(numbers)} are there")
    # A client that goes in the same instant may be given them again: plain XMPP acknowledges nothing (XEP-0198 does).
    await asyncio.sleep(0.5)
    await roland.leave()


async def account(house):
    """Carbons, archive, blocking, private storage and vCards, as slixmpp's plugins have them."""
    desk = Client(house, "roland", resource="desk")
    phone = Client(house, "roland", resource="phone")
    joe = Client(house, "joe", resource="test")
    for client in (desk, phone, joe):
        for plugin in ("xep_0049", "xep_0054", "xep_0059", "xep_0191", "xep_0280", "xep_0297", "xep_0313", "xep_0359",
                       "xep_0441"):
            client.register_plugin(plugin)
        await client.log_in()
    copies = []
    phone.add_event_handler("carbon_sent", copies.append)
    phone.add_event_handler("carbon_received", copies.append)
    await phone.plugin["xep_0280"].enable()
    desk.say(house.address("joe"), "to joe")
    await joe.until(lambda: "to joe" in joe.bodies(), "does not hear")
    joe.send_message(mto=desk.boundjid.full, mbody="to the desk", mtype="chat")
    await desk.until(lambda: "to the desk" in desk.bodies(), "does not hear")
    await phone.until(lambda: len(copies) == 2, "has no copies")
    heard = [copies[0]["carbon_sent"]["body"], copies[1]["carbon_received"]["body"]]
    expect(heard == ["to joe", "to the desk"], f"copies {heard}")

    info = await phone.plugin["xep_0030"].get_info(jid=house.address("roland"))
    features = info["disco_info"]["features"]
    expect({"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended"} <= features, f"features {features}")
    found = []
    async for result in phone.plugin["xep_0313"].iterate(with_jid=house.address("joe"), rsm={"max": 1}):
        found.append((result["mam_result"]["id"], result["mam_result"]["forwarded"]["stanza"]["body"]))
    expect([body for _, body in found] == ["to joe", "to the desk"], f"archive {found}")
    ids = [m["stanza_id"]["id"] for m in desk.messages if m["body"] == "to the desk"]
    expect(ids == [found[1][0]], f"ids {ids} {found}")
    ends = (await phone.plugin["xep_0313"].get_archive_metadata())["mam_metadata"]
    expect([ends["start"]["id"], ends["end"]["id"]] == [found[0][0], found[1][0]], f"ends {ends}")
    preferences = phone.plugin["xep_0441"]
    expect((await preferences.get_preferences())[0] == "always", "what it keeps")
    await preferences.set_preferences("never", [], [])
    expect((await preferences.get_preferences())[0] == "never", "what it keeps now")

    blocked = phone.plugin["xep_0191"]
    await blocked.block(house.address("joe"))
    expect({str(jid) for jid in await blocked.get_blocked_jids()} == {house.address("joe")}, "the list")
    joe.say(desk.boundjid.full, "not heard")
    await joe.ping()
    await blocked.unblock(house.address("joe"))
    joe.say(desk.boundjid.full, "heard again")
    await desk.until(lambda: "heard again" in desk.bodies(), "does not hear")
    expect("not heard" not in desk.bodies(), "heard who was blocked")

    card = phone.plugin["xep_0054"].make_vcard()
    card["FN"] = "Roland"
    await phone.plugin["xep_0054"].publish_vcard(card)
    seen = await joe.plugin["xep_0054"].get_vcard(house.address("roland"), cached=False)
    expect(seen["vcard_temp"]["FN"] == "Roland", f"vCard {seen}")
    for client in (desk, phone, joe):
        await client.leave()


class Publisher(Client):
    """A client that publishes, and hears what others publish (XEP-0163 by capabilities, XEP-0115)."""

    PLUGINS = ("xep_0004", "xep_0048", "xep_0049", "xep_0054", "xep_0059", "xep_0060", "xep_0084", "xep_0107", "xep_0115",
               "xep_0118", "xep_0153", "xep_0163", "xep_0172", "xep_0292", "xep_0402")
    EVENTS = ("user_mood_publish", "user_tune_publish", "user_nick_publish", "avatar_metadata_publish")

    def __init__(self, house, user, **more):
        super().__init__(house, user, **more)
        for plugin in self.PLUGINS:
            self.register_plugin(plugin)
        self.told = []
        self.photos = []
        self.add_event_handler("vcard_avatar_update", lambda p: self.remember(self.photos, p))
        for name in self.EVENTS:
            self.add_event_handler(name, lambda m, name=name: self.remember(self.told, (name, m["from"].bare, m)))

    def heard(self, name, sender):
        return [m for event, who, m in self.told if event == name and who == sender]


async def published(house):
    """Mood, tune, nickname, picture, bookmarks and vCard4 of roland; joe, a contact, hears of them, also when he comes later."""
    roland = await Publisher(house, "roland", resource="desk").log_in()
    joe = await Publisher(house, "joe", direct=True).log_in()
    me = roland.boundjid.bare
    await befriend(roland, joe)
    info = await roland.plugin["xep_0030"].get_info(jid=me, timeout=PATIENCE)
    kinds = {(identity[0], identity[1]) for identity in info["disco_info"]["identities"]}
    expect(("pubsub", "pep") in kinds, f"the account is {kinds}")
    expect("http://jabber.org/protocol/pubsub#publish-options" in info["disco_info"]["features"], "publish-options")

    await roland.plugin["xep_0107"].publish_mood("happy", "at last", timeout=PATIENCE)
    mood = (await joe.until(lambda: joe.heard("user_mood_publish", me), "hears of no mood"))[0]
    expect(mood["pubsub_event"]["items"]["item"]["mood"]["value"] == "happy", f"mood {mood}")
    await roland.until(lambda: roland.heard("user_mood_publish", me), "does not hear of its own mood")
    await roland.plugin["xep_0118"].publish_tune(artist="Monteverdi", title="Orfeo", timeout=PATIENCE)
    await joe.until(lambda: joe.heard("user_tune_publish", me), "hears of no tune")
    await roland.plugin["xep_0172"].publish_nick("Rolly", timeout=PATIENCE)
    nick = (await joe.until(lambda: joe.heard("user_nick_publish", me), "hears of no nickname"))[0]
    expect(nick["pubsub_event"]["items"]["item"]["nick"]["nick"] == "Rolly", f"nickname {nick}")

    picture = b"\x89PNG\r\n\x1a\n" + b"roland" * 100
    avatars = roland.plugin["xep_0084"]
    name = avatars.generate_id(picture)
    await avatars.publish_avatar(picture, timeout=PATIENCE)
    about = [{"id": name, "type": "image/png", "bytes": len(picture)}]
    await avatars.publish_avatar_metadata(about, timeout=PATIENCE)
    await joe.until(lambda: joe.heard("avatar_metadata_publish", me), "hears of no picture")
    seen = await joe.plugin["xep_0084"].retrieve_avatar(me, name, timeout=PATIENCE)
    expect(seen["pubsub"]["items"]["item"]["avatar_data"]["value"] == picture, "another picture")
    card = await joe.plugin["xep_0054"].get_vcard(me, cached=False, timeout=PATIENCE)
    expect(card["vcard_temp"]["PHOTO"]["BINVAL"] == picture, "another picture in the vCard")

    pubsub = roland.plugin["xep_0060"]
    options = roland.plugin["xep_0004"].make_form(ftype="submit")
    options.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
    for var, value in (("persist_items", "1"), ("max_items", "max"), ("send_last_published_item", "never"),
                       ("access_model", "whitelist")):
        options.add_field(var=f"pubsub#{var}", value=value)
    bookmark = roland.plugin["xep_0402"].stanza.Conference()
    bookmark["name"], bookmark["autojoin"], bookmark["nick"] = "The hall", True, "Rolly"
    room = "hall@rooms.falcot.com"
    await pubsub.publish(me, "urn:xmpp:bookmarks:1", id=room, payload=bookmark, options=options, timeout=PATIENCE)
    old = await roland.plugin["xep_0048"].get_bookmarks(method="xep_0049", timeout=PATIENCE)
    rooms = [(c["jid"], c["name"], c["nick"]) for c in old["private"]["bookmarks"]["conferences"]]
    expect(rooms == [(room, "The hall", "Rolly")], f"bookmarks {rooms}")
    try:
        await joe.plugin["xep_0060"].get_items(me, "urn:xmpp:bookmarks:1", timeout=PATIENCE)
        raise Failed("joe reads roland's bookmarks")
    except IqError as error:
        expect(error.iq["error"]["condition"] == "not-allowed", f"joe is told {error.iq}")

    await roland.plugin["xep_0292"].publish_vcard(full_name="Roland", timeout=PATIENCE)
    await joe.plugin["xep_0292"].retrieve_vcard(me, timeout=PATIENCE)
    nodes = await joe.plugin["xep_0060"].get_nodes(me, timeout=PATIENCE)
    listed = {str(item[1]) for item in nodes["disco_items"]["items"]}
    expect("urn:xmpp:avatar:metadata" in listed and "urn:xmpp:bookmarks:1" not in listed, f"joe sees {listed}")

    await joe.leave()
    late = await Publisher(house, "joe", resource="late").log_in()
    await late.until(lambda: late.heard("user_mood_publish", me), "is not told the last mood")
    await late.until(lambda: late.heard("avatar_metadata_publish", me), "is not told the last picture")
    await roland.leave()
    await late.leave()


SCENARIOS = {scenario.__name__.replace("_", "-"): scenario for scenario in (
    chat, mechanisms, resume, wrong_password, away_send, away_receive, friends, roster, stay, load, after_load,
    account, certificate, certificate_taken_back, component, published,
)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--domain", default="falcot.com")
    parser.add_argument("--acknowledged", default="", help="for after-load: joe=N,nina=N,contact=N")
    parser.add_argument("--certificate", default="", help="a file with certificate and key")
    parser.add_argument("--component-port", type=int, default=0)
    parser.add_argument("--debug", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.CRITICAL)
    try:
        asyncio.run(asyncio.wait_for(SCENARIOS[options.scenario](House(options)), 120))
    except (Failed, asyncio.TimeoutError, IqError) as error:
        print(f"FAILED {options.scenario}: {error!r}", flush=True)
        return 1
    print(f"OK {options.scenario}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
