"""Two WebRTC peers (aiortc) that reach one another by TURN relays alone: words over a data channel, both ways.

Arguments: the server's transport (udp, tcp or tls), its port, user, password.
"""

import asyncio
import sys

from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)

transport, port, user, password = sys.argv[1:]


def peer():
    scheme = "turns" if transport == "tls" else "turn"
    way = "udp" if transport == "udp" else "tcp"
    url = f"{scheme}:127.0.0.1:{port}?transport={way}"
    server = RTCIceServer(urls=url, username=user, credential=password)
    return RTCPeerConnection(
        RTCConfiguration(iceServers=[server], iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    )


def candidates(description):
    lines = [line for line in description.sdp.splitlines() if line.startswith("a=candidate:")]
    assert lines, "no candidates"
    assert all(" typ relay" in line for line in lines), lines
    return len(lines)


async def main():
    caller, callee = peer(), peer()
    channel = caller.createDataChannel("chat")
    answered = asyncio.get_running_loop().create_future()

    @callee.on("datachannel")
    def on_datachannel(other):
        @other.on("message")
        def on_message(words):
            other.send("heard: " + words)

    @channel.on("open")
    def on_open():
        channel.send("hello")

    @channel.on("message")
    def on_message(words):
        answered.set_result(words)

    await caller.setLocalDescription(await caller.createOffer())
    candidates(caller.localDescription)
    await callee.setRemoteDescription(caller.localDescription)
    await callee.setLocalDescription(await callee.createAnswer())
    candidates(callee.localDescription)
    await caller.setRemoteDescription(callee.localDescription)
    print("the answer:", await asyncio.wait_for(answered, 30))
    await asyncio.gather(caller.close(), callee.close())


asyncio.run(main())
