"""Rooms (XEP-0045) with slixmpp's plugins: one scenario more for xmpp_client.py, by the same arguments."""

import sys

from slixmpp import JID
from slixmpp.exceptions import IqError, PresenceError
from slixmpp.plugins.xep_0410 import PingStatus
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

import xmpp_client
from xmpp_client import PATIENCE, Client, expect

PLUGINS = ("xep_0004", "xep_0045", "xep_0054", "xep_0249", "xep_0313", "xep_0410", "xep_0421", "xep_0425")


async def person(house, name):
    client = Client(house, name)
    for plugin in PLUGINS:
        client.register_plugin(plugin)
    client.declined, client.invited, client.subjects, client.taken_back = [], [], [], []
    client.add_event_handler("groupchat_subject", lambda m: client.remember(client.subjects, m["subject"]))
    client.add_event_handler("moderated_message", lambda m: client.remember(client.taken_back, m))
    # slixmpp looks for the room of a refusal in the wrong table; the stanza itself is what counts.
    refusals = Callback("refusals", StanzaPath("message/muc/decline"), lambda m: client.remember(client.declined, m))
    client.register_handler(refusals)
    client.add_event_handler("groupchat_direct_invite", lambda m: client.remember(client.invited, m))
    client.add_event_handler("groupchat_invite", lambda m: client.remember(client.invited, m))
    return await client.log_in()


def said(client, body):
    return next((m for m in client.messages if m["type"] == "groupchat" and m["body"] == body), None)


async def refused(awaited, condition):
    try:
        await awaited
    except (IqError, PresenceError) as error:
        expect(error.condition == condition, f"refused with {error.condition}, not {condition}")
    else:
        raise xmpp_client.Failed(f"not refused with {condition}")


async def rooms(house):
    """A room from its making to its end."""
    roland, joe, nina = [await person(house, name) for name in ("roland", "joe", "nina")]
    room = JID(f"ball@rooms.{house.domain}")
    muc = {client: client.plugin["xep_0045"] for client in (roland, joe, nina)}

    made, *_ = await muc[roland].join_muc_wait(room, "Roland", timeout=PATIENCE)
    expect({110, 201} <= set(made["muc"]["status_codes"]), f"made: {made}")
    form = await muc[roland].get_room_config(room)
    form["type"] = "submit"
    form.set_values({"muc#roomconfig_persistentroom": True, "muc#roomconfig_roomname": "The ball"})
    await muc[roland].set_room_config(room, form)

    _, _, occupants, _ = await muc[joe].join_muc_wait(room, "Joe", timeout=PATIENCE)
    expect([p["from"].resource for p in occupants] == ["Roland", "Joe"], f"occupants: {occupants}")
    info = await joe.plugin["xep_0030"].get_info(jid=room, timeout=PATIENCE)
    features = info["disco_info"]["features"]
    expect({"muc_persistent", "urn:xmpp:mam:2", "urn:xmpp:occupant-id:0"} <= features, f"features: {features}")
    items = await joe.plugin["xep_0030"].get_items(jid=f"rooms.{house.domain}", timeout=PATIENCE)
    expect(room.bare in [item[0] for item in items["disco_items"]["items"]], f"rooms: {items}")

    # Talk, by whom it is, and whether one is there.
    joe.send_message(mto=room, mbody="Good evening", mtype="groupchat")
    heard = await roland.until(lambda: said(roland, "Good evening"), "hears nobody")
    await joe.until(lambda: said(joe, "Good evening"), "does not hear itself")
    expect(heard["from"].resource == "Joe" and heard["occupant-id"]["id"], f"heard {heard}")
    ping = joe.plugin["xep_0410"]
    expect(await ping.send_self_ping(JID(f"{room}/Joe")) == PingStatus.JOINED, "joe is not there")
    status = await nina.plugin["xep_0410"].send_self_ping(JID(f"{room}/Nina"))
    expect(status == PingStatus.DISCONNECTED, f"nina is there: {status}")
    muc[roland].set_subject(room, "Masks")
    await joe.until(lambda: "Masks" in joe.subjects, "no subject")

    # Invitations, direct and by way of the room.
    roland.plugin["xep_0249"].send_invitation(JID(house.address("nina")), room, reason="Dance")
    await nina.until(lambda: nina.invited, "is not invited")
    nina.invited.clear()
    muc[roland].invite(room, house.address("nina"), "Dance")
    await nina.until(lambda: nina.invited, "is not invited by the room")
    muc[nina].decline(room, house.address("roland"), "Tired")
    await roland.until(lambda: roland.declined, "is not told no")

    # Roles, affiliations, a message that is taken back.
    await refused(muc[joe].set_role(room, "Roland", "none"), "forbidden")
    await muc[roland].set_affiliation(room, "member", jid=JID(house.address("joe")))
    members = await muc[roland].get_affiliation_list(room, "member")
    expect([str(jid) for jid in members] == [house.address("joe")], f"members: {members}")
    await refused(joe.plugin["xep_0425"].moderate(room, heard["stanza_id"]["id"]), "forbidden")
    await roland.plugin["xep_0425"].moderate(room, heard["stanza_id"]["id"], "Rude")
    await joe.until(lambda: joe.taken_back, "is told of no retraction")
    found = await joe.plugin["xep_0313"].retrieve(jid=room, timeout=PATIENCE)
    bodies = [result["mam_result"]["forwarded"]["stanza"]["body"] for result in found["mam"]["results"]]
    expect(bodies and "Good evening" not in bodies, f"archive: {bodies}")

    thrown_out = []
    joe.add_event_handler(f"muc::{room}::self-presence", lambda p: joe.remember(thrown_out, p["muc"]["status_codes"]))
    await muc[roland].set_affiliation(room, "outcast", jid=JID(house.address("joe")))
    await joe.until(lambda: any(301 in codes for codes in thrown_out), "is not banned")
    await refused(muc[joe].join_muc_wait(room, "Joe", timeout=PATIENCE), "forbidden")
    await muc[roland].destroy(room, "Morning")
    await refused(roland.plugin["xep_0030"].get_info(jid=room, timeout=PATIENCE), "item-not-found")
    for client in (roland, joe, nina):
        await client.leave()


if __name__ == "__main__":
    xmpp_client.SCENARIOS["rooms"] = rooms
    sys.exit(xmpp_client.main())
