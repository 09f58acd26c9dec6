"""Writes as much as it can and notes what was acknowledged; later looks whether all of it is there.

usage: durable.py load|check --sip N --xmpp N --notes FILE --users N [--domain falcot.com]

Accounts: u0, u1, … with the password "secret". `load` runs until the server is gone. What it notes, one a line:
    binding USER CONTACT    the REGISTER with this contact was answered by 200
    roster USER CONTACT     the roster set with this contact was answered by a result
    message USER ID         a message to USER, who is away, and a ping behind it, which was answered
`check` ends with 0 when all of it is there, each message once.
"""

import argparse
import base64
import hashlib
import re
import socket
import ssl
import sys
import threading
import time

HOST = "127.0.0.1"


class Gone(Exception):
    """The server does not answer any more."""


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Phone:
    """A SIP user agent on a UDP socket, just enough to register (RFC 3261 §10, §22)."""

    def __init__(self, args, user):
        self.args, self.user, self.cseq, self.challenge, self.count = args, user, 0, None, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((HOST, args.sip))
        self.socket.settimeout(0.5)
        self.port = self.socket.getsockname()[1]
        self.call = f"{user}-{self.port}-{time.time_ns()}"

    def register(self, contact):
        """The final response to a REGISTER with `contact`, or to a query where it is None."""
        for _ in range(3):
            answer = self.ask(contact)
            if not answer.startswith("SIP/2.0 401"):
                return answer
            line = re.search(r"(?im)^WWW-Authenticate: *Digest (.*algorithm=MD5.*)$", answer).group(1)
            self.challenge, self.count = dict(re.findall(r'(\w+)="?([^",]+)', line)), 0
        raise Gone("401 again and again")

    def ask(self, contact):
        self.cseq += 1
        domain, user = self.args.domain, self.user
        lines = [
            f"REGISTER sip:{domain} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self.port};branch=z9hG4bK{self.call}-{self.cseq};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{domain}>;tag={self.port}",
            f"To: <sip:{user}@{domain}>",
            f"Call-ID: {self.call}",
            f"CSeq: {self.cseq} REGISTER",
        ]
        if contact:
            lines += [f"Contact: <{contact}>", "Expires: 600"]
        if self.challenge:
            lines.append(self.authorization())
        request = "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()
        return self.exchange(request)

    def authorization(self):
        self.count += 1
        c, user, uri = self.challenge, self.user, f"sip:{self.args.domain}"
        first = md5(f"{user}:{c['realm']}:secret")
        nc = f"{self.count:08x}"
        response = md5(f"{first}:{c['nonce']}:{nc}:abc:auth:{md5(f'REGISTER:{uri}')}")
        return (f'Authorization: Digest username="{user}", realm="{c["realm"]}", nonce="{c["nonce"]}", uri="{uri}", '
                f'response="{response}", algorithm=MD5, qop=auth, nc={nc}, cnonce="abc"')

    def exchange(self, request):
        for _ in range(6):
            try:
                self.socket.send(request)
                while True:
                    answer = self.socket.recv(65535).decode()
                    if f"CSeq: {self.cseq} " in answer and not answer.startswith("SIP/2.0 1"):
                        return answer
            except (TimeoutError, ConnectionRefusedError):
                if self.args.stop.is_set():
                    break
        raise Gone("no answer")


class Chat:
    """An XMPP client inside TLS, just enough to sign in by PLAIN and to exchange stanzas (RFC 6120)."""

    def __init__(self, args, user, resource):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection((HOST, args.xmpp), 10)
        self.socket = context.wrap_socket(plain, server_hostname=args.domain)
        self.socket.settimeout(10)
        self.text = ""
        header = (f"<stream:stream to='{args.domain}' version='1.0' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams'>")
        secret = base64.b64encode(f"\0{user}\0secret".encode()).decode()
        self.send(header, r"</stream:features>")
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>", r"<success")
        self.send(header, r"</stream:features>")
        bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind>"
        self.send(f"<iq type='set' id='bind'>{bind}</iq>", r"id=['\"]bind['\"]")

    def send(self, text, until):
        """Sends, then reads on to what matches `until`; what came up to there."""
        try:
            self.socket.sendall(text.encode())
            while not (found := re.search(until, self.text)):
                more = self.socket.recv(65536)
                if not more:
                    raise Gone("the stream ended")
                self.text += more.decode()
        except OSError as error:
            raise Gone(str(error)) from error
        seen, self.text = self.text[:found.end()], self.text[found.end():]
        return seen


def load(args):
    notes, lock = open(args.notes, "w"), threading.Lock()

    def note(*words):
        with lock:
            print(*words, file=notes, flush=True)

    def bindings(user):
        phone = Phone(args, user)
        for n in range(25):
            contact = f"sip:{user}@192.0.2.1:{6000 + n}"
            if phone.register(contact).startswith("SIP/2.0 200"):
                note("binding", user, contact)

    def chat(user, away):
        client = Chat(args, user, "load")
        for n in range(10_000):
            contact = f"c{n}@{args.domain}"
            query = f"<query xmlns='jabber:iq:roster'><item jid='{contact}'/></query>"
            answer = client.send(f"<iq type='set' id='r{n}'>{query}</iq>", rf"<iq[^>]*id=['\"]r{n}['\"][^>]*>")
            if "error" not in answer.rsplit("<iq", 1)[1]:
                note("roster", user, contact)
            if n < 300:
                message = f"<message to='{away}@{args.domain}' type='chat' id='{user}-{n}'><body>kept {n}</body></message>"
                ping = f"<iq type='get' id='p{n}' to='{args.domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
                client.send(message + ping, rf"id=['\"]p{n}['\"]")
                note("message", away, f"{user}-{n}")

    def worker(work, *arguments):
        try:
            work(*arguments)
        except Gone:
            args.stop.set()

    half = args.users // 2
    threads = [threading.Thread(target=worker, args=(bindings, f"u{n}")) for n in range(args.users)]
    threads += [threading.Thread(target=worker, args=(chat, f"u{n}", f"u{half + n}")) for n in range(half)]
    for thread in threads:
        thread.start()
    print("loading", flush=True)
    for thread in threads:
        thread.join()


def check(args):
    noted = {"binding": {}, "roster": {}, "message": {}}
    for line in open(args.notes):
        kind, user, what = line.split()
        noted[kind].setdefault(user, []).append(what)
    faults = []
    for user, contacts in noted["binding"].items():
        answer = Phone(args, user).register(None)
        faults += [f"binding {user} {c}" for c in contacts if f"<{c}>" not in answer]
    for user, contacts in noted["roster"].items():
        answer = Chat(args, user, "check").send("<iq type='get' id='all'><query xmlns='jabber:iq:roster'/></iq>",
                                                r"</query></iq>|<query xmlns=['\"]jabber:iq:roster['\"]/></iq>")
        faults += [f"roster {user} {c}" for c in contacts if not re.search(rf"jid=['\"]{re.escape(c)}['\"]", answer)]
    for user, ids in noted["message"].items():
        seen = kept(args, user, len(ids))
        faults += [f"message {user} {i}: {seen.count(i)} times" for i in ids if seen.count(i) != 1]
    print("noted", {kind: sum(map(len, by.values())) for kind, by in noted.items()}, "missing", faults[:20])
    return 1 if faults or not all(noted.values()) else 0


def kept(args, user, least):
    """The ids of the messages that were kept for `user`, as it comes back."""
    client = Chat(args, user, "check")
    client.text += client.send("<presence/>", r"<presence")
    end = time.time() + 10
    client.socket.settimeout(1)
    while time.time() < end:
        try:
            client.text += client.socket.recv(65536).decode()
        except (TimeoutError, ssl.SSLError):
            if len(re.findall(r"<message", client.text)) >= least:
                break
    return re.findall(r"<message[^>]*\sid=['\"]([^'\"]+)['\"]", client.text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["load", "check"])
    parser.add_argument("--sip", type=int)
    parser.add_argument("--xmpp", type=int)
    parser.add_argument("--notes")
    parser.add_argument("--users", type=int)
    parser.add_argument("--domain", default="falcot.com")
    args = parser.parse_args()
    args.stop = threading.Event()
    return (load if args.mode == "load" else check)(args) or 0


if __name__ == "__main__":
    sys.exit(main())
