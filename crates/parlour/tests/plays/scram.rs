//! SCRAM from the client's side (RFC 5802), with and without channel binding, and the check of XEP-0474.

use super::actor::Actor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use xmpp::sasl::scram::{Algorithm, Sha1, Sha256, Sha512};
use xmpp::{Element, ns};

/// The client's nonce.
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

/// How a client signs in by SCRAM.
pub(crate) struct Scram<'a> {
    pub(crate) user: &'a str,
    /// With or without `-PLUS`.
    pub(crate) mechanism: &'a str,
    /// The type of the binding, or what is claimed to be one.
    pub(crate) binding: Option<&'a str>,
    /// What was offered, as the hash of XEP-0474 is made of it.
    pub(crate) offered: &'a str,
}

/// How an exchange ended, and what came with it.
pub(crate) type Outcome = Result<Element, String>;

impl Scram<'_> {
    fn gs2(&self) -> String {
        match self.binding {
            Some("lied-to") => "y,,".to_owned(),
            Some(name) => format!("p={name},,"),
            None => "n,,".to_owned(),
        }
    }

    /// The client's first message.
    pub(crate) fn first(&self) -> String {
        format!("{}n={},r={NONCE}", self.gs2(), self.user)
    }

    /// The client's last message, and the server's proof that must come.
    pub(crate) fn last(&self, actor: &Actor, challenge: &str) -> Result<(String, String), String> {
        match self.mechanism.trim_end_matches("-PLUS") {
            "SCRAM-SHA-512" => self.prove::<Sha512, 64>(actor, challenge),
            "SCRAM-SHA-256" => self.prove::<Sha256, 32>(actor, challenge),
            _ => self.prove::<Sha1, 20>(actor, challenge),
        }
    }

    fn prove<A: Algorithm<N>, const N: usize>(
        &self,
        actor: &Actor,
        challenge: &str,
    ) -> Result<(String, String), String> {
        let part = |name: &str| {
            let found = challenge.split(',').find_map(|part| part.strip_prefix(name));
            found.ok_or_else(|| format!("no {name} in {challenge}"))
        };
        if BASE64.encode(A::hash(self.offered.as_bytes())) != part("h=")? {
            return Err(format!("somebody changed the offer: {:?}", self.offered));
        }
        let data = match self.binding {
            Some("tls-exporter") => actor.exporter(),
            Some("tls-server-end-point") => actor.end_point(),
            _ => Vec::new(),
        };
        let salt = BASE64.decode(part("s=")?).map_err(|e| e.to_string())?;
        let password = format!("secret-{}", self.user);
        let rounds = part("i=")?.parse().map_err(|_| "no number of rounds")?;
        let salted = A::salted(password.as_bytes(), &salt, rounds);
        let key = A::hmac(&salted, b"Client Key");
        let binding = BASE64.encode([self.gs2().as_bytes(), &data].concat());
        let without_proof = format!("c={binding},r={}", part("r=")?);
        let said = format!("n={},r={NONCE},{challenge},{without_proof}", self.user);
        let signature = A::hmac(&A::hash(&key), said.as_bytes());
        let proof: Vec<u8> = key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let theirs = A::hmac(&A::hmac(&salted, b"Server Key"), said.as_bytes());
        Ok((format!("{without_proof},p={}", BASE64.encode(proof)), format!("v={}", BASE64.encode(theirs))))
    }

    /// The whole exchange of RFC 6120 on a stream whose features have come.
    pub(crate) fn sign_in(&self, actor: &mut Actor) -> Outcome {
        let first = BASE64.encode(self.first());
        actor.send(&format!("<auth xmlns='{}' mechanism='{}'>{first}</auth>", ns::SASL, self.mechanism));
        let challenge = actor.next()?;
        if !challenge.is("challenge", ns::SASL) {
            return Ok(challenge);
        }
        let (last, proof) = self.last(actor, &decoded(&challenge)?)?;
        actor.send(&format!("<response xmlns='{}'>{}</response>", ns::SASL, BASE64.encode(last)));
        let end = actor.next()?;
        if end.name() == "success" && decoded(&end)? != proof {
            return Err("the server did not prove that it knows the password".into());
        }
        Ok(end)
    }
}

/// Signs in by XEP-0388 with these wishes, on a stream whose features have come: how it ends.
pub(crate) fn in_one_go(actor: &mut Actor, scram: &Scram<'_>, wishes: &str) -> Outcome {
    let plain = scram.mechanism == "PLAIN";
    let first = if plain { format!("\0{0}\0secret-{0}", scram.user) } else { scram.first() };
    actor.send(&format!(
        "<authenticate xmlns='{}' mechanism='{}'><initial-response>{}</initial-response>{wishes}</authenticate>",
        ns::SASL2,
        scram.mechanism,
        BASE64.encode(first)
    ));
    let answer = actor.next()?;
    if !answer.is("challenge", ns::SASL2) {
        return Ok(answer);
    }
    let (last, proof) = scram.last(actor, &decoded(&answer)?)?;
    actor.send(&format!("<response xmlns='{}'>{}</response>", ns::SASL2, BASE64.encode(last)));
    let end = actor.next()?;
    match end.find("additional-data", ns::SASL2) {
        Some(data) if decoded(data)? != proof => {
            Err("the server did not prove that it knows the password".into())
        }
        None if end.name() == "success" => Err("the server proved nothing".into()),
        _ => Ok(end),
    }
}

/// Signs in by a token (XEP-0484), with these wishes: how it ends.
pub(crate) fn by_token(actor: &mut Actor, user: &str, mechanism: &str, token: &str, wishes: &str) -> Outcome {
    let data = match mechanism {
        "HT-SHA-256-EXPR" => actor.exporter(),
        "HT-SHA-256-ENDP" => actor.end_point(),
        _ => Vec::new(),
    };
    let proof = |word: &str| Sha256::hmac(token.as_bytes(), &[word.as_bytes(), &data].concat());
    let first = [user.as_bytes(), b"\0", &proof("Initiator")].concat();
    actor.send(&format!(
        "<authenticate xmlns='{}' mechanism='{mechanism}'><initial-response>{}</initial-response>{wishes}</authenticate>",
        ns::SASL2,
        BASE64.encode(first)
    ));
    let end = actor.next()?;
    let theirs = end.find("additional-data", ns::SASL2).map(Element::content);
    if end.name() == "success" && theirs != Some(BASE64.encode(proof("Responder"))) {
        return Err("the server did not prove that it knows the token".into());
    }
    Ok(end)
}

/// The text of an element, base64 undone.
pub(crate) fn decoded(element: &Element) -> Result<String, String> {
    let bytes = BASE64.decode(element.content()).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|e| e.to_string())
}

/// What XEP-0474 hashes of the features of a stream.
pub(crate) fn offered(features: &Element, namespace: &str) -> String {
    let list = |name: &str, namespace: &str, of: fn(&Element) -> String| {
        let found = features.children().find(|child| child.is(name, namespace));
        let mut texts: Vec<String> =
            found.map(|found| found.children().map(of).collect()).unwrap_or_default();
        texts.retain(|text| !text.is_empty());
        texts.sort();
        texts.join("\x1e")
    };
    let name = if namespace == ns::SASL { "mechanisms" } else { "authentication" };
    let mechanism =
        |child: &Element| if child.name() == "mechanism" { child.content() } else { String::new() };
    let types = |child: &Element| child.get("type").unwrap_or_default().to_owned();
    let bindings = list("sasl-channel-binding", "urn:xmpp:sasl-cb:0", types);
    let mechanisms = list(name, namespace, mechanism);
    if bindings.is_empty() { mechanisms } else { format!("{mechanisms}\x1f{bindings}") }
}
