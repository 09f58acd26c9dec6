"""More of slixmpp against a server: contacts and conversations, one scenario per run (usage as of xmpp_client.py)."""

import sys

import xmpp_client
from slixmpp.exceptions import IqError
from xmpp_client import PATIENCE, Client, expect


def client(house, user, *plugins):
    made = Client(house, user)
    for plugin in plugins:
        made.register_plugin(plugin)
    return made


async def contacts(house):
    """Roster versions, an approval before the request, and when somebody was there last."""
    joe = await client(house, "joe", "xep_0012").log_in()
    expect({"rosterver", "preapproval"} <= set(joe.features), f"the server offers {joe.features}")
    joe.send_presence_subscription(pto=house.address("roland"), ptype="subscribed")
    await joe.ping()
    await joe.get_roster(timeout=PATIENCE)
    version = joe.client_roster.version
    expect(version, "the roster has no version")
    unchanged = await joe.get_roster(timeout=PATIENCE)
    # slixmpp puts an empty query into an answer that has none.
    told = unchanged["roster"]
    expect(not told["ver"] and not told["items"], f"an unchanged roster comes again: {unchanged}")

    roland = await client(house, "roland", "xep_0012").log_in()
    roland.send_presence_subscription(pto=house.address("joe"), ptype="subscribe")
    await roland.until(lambda: roland.seen("subscribed", joe.boundjid.bare), "is not let in")
    await roland.until(lambda: roland.seen("available", joe.boundjid.full), "does not see joe")
    expect(not joe.seen("subscribe", roland.boundjid.bare), "who was approved already has to be approved again")
    await joe.until(lambda: joe.client_roster.version != version, "a changed roster has the version that it had")

    async def last(asking, jid):
        return (await asking.plugin["xep_0012"].get_last_activity(jid, timeout=PATIENCE))["last_activity"]

    expect((await last(roland, house.address("joe")))["seconds"] == 0, "joe is not there")
    expect((await last(roland, house.domain))["seconds"] < 3600, "the server runs for long")
    joe.send_presence(ptype="unavailable", pstatus="Lunch")
    await roland.until(lambda: roland.seen("unavailable", joe.boundjid.full), "does not see joe go")
    answer = await last(roland, house.address("joe"))
    expect(answer["status"] == "Lunch" and answer["seconds"] < 60, f"joe was there last: {answer}")
    try:
        await last(joe, house.address("roland"))
        raise xmpp_client.Failed("somebody who may not see roland knows when he was there")
    except IqError as error:
        expect(error.condition == "service-unavailable", f"refused with {error.condition}")
    await joe.leave()
    await roland.leave()


async def conversation(house):
    """States of typing, receipts, markers, corrections, reactions and more reach the other's plugins."""
    plugins = ("xep_0085", "xep_0184", "xep_0308", "xep_0333", "xep_0334", "xep_0380", "xep_0424", "xep_0444", "xep_0461")
    news = ("chatstate_composing", "message_correction", "reactions", "message_reply", "message_encryption", "message_retract")
    roland, joe = client(house, "roland", *plugins), client(house, "joe", *plugins)
    for one, names in ((roland, ("receipt_received", "marker_displayed")),
                       (joe, news)):
        for name in names:
            one.add_event_handler(name, lambda _, one=one, name=name: one.remember(one.events_seen, name))
        await one.log_in()
    typing = roland.make_message(mto=joe.boundjid.bare, mtype="chat")
    typing["chat_state"] = "composing"
    typing.send()
    message = roland.make_message(mto=joe.boundjid.bare, mbody="teh", mtype="chat")
    message["id"] = "first"
    message["request_receipt"] = True
    message.send()
    roland.plugin["xep_0308"].correct_message(message, "the")
    roland.plugin["xep_0444"].send_reactions(joe.boundjid.bare, "first", ["😀"])
    roland.plugin["xep_0461"].send_reply(joe.boundjid.bare, "first", mto=joe.boundjid.bare, mbody="indeed", mtype="chat")
    secret = roland.make_message(mto=joe.boundjid.bare, mbody="locked", mtype="chat")
    roland.plugin["xep_0380"].add_eme(secret, "eu.siacs.conversations.axolotl")
    secret.enable("no-permanent-store")
    secret.send()
    roland.plugin["xep_0424"].send_retraction(joe.boundjid.bare, "first", include_fallback=False)
    for name in news:
        await joe.until(lambda name=name: name in joe.events_seen, f"hears of no {name}")
    joe.plugin["xep_0333"].send_marker(roland.boundjid.bare, "first", "displayed", mtype="chat")
    for name in ("receipt_received", "marker_displayed"):
        await roland.until(lambda name=name: name in roland.events_seen, f"hears of no {name}")
    await roland.leave()
    await joe.leave()


async def password(house):
    """Another password by XEP-0077, whose form slixmpp reads; the session goes on, and the next one needs the new one."""
    joe = Client(house, "joe")
    joe.register_plugin("xep_0077")
    await joe.log_in()
    known = await joe.plugin["xep_0077"].get_registration(jid=house.domain)
    expect(known["register"]["registered"] and known["register"]["username"] == "joe", f"{known}")
    await joe.plugin["xep_0077"].change_password("brand-new", jid=house.domain)
    await joe.plugin["xep_0199"].ping(house.domain)
    await joe.leave()
    again = Client(house, "joe", password="brand-new")
    await again.log_in()
    await again.leave()


xmpp_client.SCENARIOS.update(contacts=contacts, conversation=conversation, password=password)
if __name__ == "__main__":
    sys.exit(xmpp_client.main())
