//! Certificates: when they end, for whom they are, whether clients can follow them to an authority that they trust.

use super::notes::{Finding, Notes};
use super::{Patient, Skipped};
use crate::config::plan::TlsSource;
use crate::config::{Plan, certificate_facts, covers};
use crate::site;
use crate::standing::Standing;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509StoreContext, X509VerifyResult};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

/// A certificate that the server shows, with what stands behind it in its file.
pub(super) struct Shown {
    pub(super) file: PathBuf,
    chain: Vec<X509>,
}

impl Shown {
    /// Whether it is this one.
    pub(super) fn is(&self, certificate: &X509) -> bool {
        let same = |leaf: &X509| {
            leaf.to_der().ok().is_some_and(|der| certificate.to_der().is_ok_and(|other| der == other))
        };
        self.chain.first().is_some_and(same)
    }
}

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    let plan = &patient.plan;
    let shown = all(plan);
    if shown.is_empty() {
        let why = "there is none: no listener wants one, or the server has not issued it yet";
        return Err(Skipped(why.into()));
    }
    quick(plan, notes);
    for one in &shown {
        provisional(plan, one, notes);
        trusted(plan, one, notes);
    }
    names(plan, &shown, notes);
    authority(plan, &shown, notes);
    Ok(())
}

/// What is told at once: what has ended, or will.
pub(super) fn quick(plan: &Plan, notes: &mut Notes) {
    for one in &all(plan) {
        if let Some(leaf) = one.chain.first() {
            judge_life(plan, one, leaf, notes);
        }
    }
}

/// Orders with an authority that speaks ACME that came to nothing.
pub(super) fn orders(plan: &Plan, orders: &[Standing], notes: &mut Notes) {
    for order in orders.iter().filter(|order| !order.fault.is_empty()) {
        let domain = &order.domain;
        let has_one = plan.tls.as_ref().is_some_and(|tls| tls.covers(domain)) && order.missing.is_empty();
        let message = match has_one {
            true => format!("the certificate of {domain} could not be renewed"),
            false => format!("no certificate came for {domain}"),
        };
        let fix = format!("parlour cert renew {domain}   # once that is mended; it is tried again by itself");
        notes.found(Finding::warning("acme", message).seen(order.fault.clone()).mend(fix));
    }
}

/// Every certificate of the plan.
pub(super) fn all(plan: &Plan) -> Vec<Shown> {
    let all = plan.tls.iter().flat_map(|tls| &tls.certificates);
    all.map(|one| Shown {
        file: one.certificate.clone(),
        chain: X509::stack_from_pem(&one.chain_pem).unwrap_or_default(),
    })
    .collect()
}

/// What has one issued that is missing, or ends.
fn renewal(plan: &Plan, one: &Shown) -> String {
    let file = one.file.display();
    let leaf = one.chain.first();
    let is_own =
        own_root(plan).zip(leaf).is_some_and(|(root, leaf)| root.issued(leaf) == X509VerifyResult::OK);
    match plan.tls.as_ref().map(|tls| &tls.source) {
        Some(TlsSource::Own | TlsSource::Files) if is_own => {
            "parlour reload   # our own authority issues another one; where it does not: journalctl -u parlour"
                .into()
        }
        Some(TlsSource::Own) => format!("rm {file} && parlour reload   # our own authority issues another one"),
        Some(TlsSource::Acme(_)) => {
            "parlour cert renew   # orders one now; where none comes: journalctl -u parlour".into()
        }
        _ => format!("certbot renew   # or whatever made {file}; the server reads it again by itself"),
    }
}

/// One of our own authority, where one of another was wanted: until that has issued it.
fn provisional(plan: &Plan, one: &Shown, notes: &mut Notes) {
    let (Some(leaf), Some(root)) = (one.chain.first(), own_root(plan)) else { return };
    let is_acme = plan.tls.as_ref().is_some_and(|tls| matches!(tls.source, TlsSource::Acme(_)));
    if is_acme && root.issued(leaf) == X509VerifyResult::OK {
        let message =
            "clients are shown a certificate of our own authority: the one of [acme] has not come yet";
        let seen = format!("{} is from {:?}", one.file.display(), leaf.issuer_name());
        let finding = Finding::warning("certificate-provisional", message).seen(seen);
        notes.found(finding.mend(renewal(plan, one)));
    }
}

fn own_root(plan: &Plan) -> Option<X509> {
    let text = std::fs::read(plan.data.join("certs/authority.pem")).ok()?;
    X509::from_pem(&text).ok()
}

/// How much of its life is left.
fn judge_life(plan: &Plan, one: &Shown, leaf: &X509, notes: &mut Notes) {
    let file = one.file.display();
    let Some((left, life)) = life(leaf.not_before(), leaf.not_after()) else { return };
    let (begins, ends) = (leaf.not_before(), leaf.not_after());
    let seen = format!("{file}: from {begins} until {ends}");
    let early = begins.compare(&now()).is_ok_and(|order| order == Ordering::Greater);
    let finding = match left {
        _ if early => {
            let finding = Finding::error(
                "certificate-early",
                "the certificate is not valid yet, or the clock is wrong",
            );
            return notes.found(
                finding
                    .seen(seen)
                    .mend("timedatectl   # is the date right? then wait, or have it issued again"),
            );
        }
        left if left < 0 => Finding::error("certificate-ended", "the certificate has ended: clients go away"),
        left if left * 3 <= life => {
            Finding::warning("certificate-ends", format!("the certificate ends in {left} days"))
        }
        _ => return notes.fine(format!("{file}: {left} days left")),
    };
    notes.found(finding.seen(seen).mend(renewal(plan, one)));
}

fn now() -> Asn1Time {
    Asn1Time::days_from_now(0).expect("now is a time")
}

/// Days that are left, negative when it is over, and days from the beginning to the end.
fn life(begins: &Asn1TimeRef, ends: &Asn1TimeRef) -> Option<(i32, i32)> {
    let left = now().diff(ends).ok()?;
    let over = left.secs < 0 && left.days == 0;
    Some((if over { -1 } else { left.days }, begins.diff(ends).ok()?.days))
}

/// Whether a client that trusts the system's authorities, or ours, can follow it.
fn trusted(plan: &Plan, one: &Shown, notes: &mut Notes) {
    let result = match follow(&one.chain, Some(plan)) {
        Ok(X509VerifyResult::OK) => {
            return notes.fine(format!("{}: issued by an authority that is known here", one.file.display()));
        }
        Ok(result) => result,
        Err(error) => return notes.fine(format!("{} was not followed: {error}", one.file.display())),
    };
    let name = one.file.display();
    let last = one.chain.last().map(|last| format!("{:?}", last.issuer_name())).unwrap_or_default();
    let seen = format!(
        "{name}: {} ({} certificates, the last one issued by {last})",
        result.error_string(),
        one.chain.len()
    );
    let is_own = one.chain.first().is_some_and(|leaf| leaf.issued(leaf) == X509VerifyResult::OK);
    let (message, fix) = if is_own {
        (
            "nobody but itself vouches for the certificate",
            "have it issued by an authority; see docs/domains.md".to_owned(),
        )
    } else if plan.tls.as_ref().is_some_and(|tls| matches!(tls.source, TlsSource::Acme(_))) {
        // The file has the key as well, and is the server's own to write.
        (
            "clients cannot follow the certificate to an authority that is known here",
            "[tls]\nroots = [\"ROOT.pem\"]   # of the authority of [acme], for this host; clients have to know it too".to_owned(),
        )
    } else {
        (
            "clients cannot follow the certificate to an authority that is known here",
            format!(
                "cat LEAF.pem INTERMEDIATE.pem > {name}   # certbot: use fullchain.pem; of a private authority: tls.roots"
            ),
        )
    };
    notes.found(Finding::warning("certificate-untrusted", message).seen(seen).mend(fix));
}

/// Whether a client that trusts the system's authorities, and those of the plan, can follow a chain.
pub(super) fn follow(chain: &[X509], plan: Option<&Plan>) -> Result<X509VerifyResult, ErrorStack> {
    let mut roots = X509StoreBuilder::new()?;
    for root in openssl_probe::probe().cert_file.iter().flat_map(|path| read_all(path)) {
        roots.add_cert(root)?;
    }
    if let Some(plan) = plan {
        let private = plan.roots.iter().filter_map(|der| X509::from_der(der).ok());
        for root in private.chain(read_all(&plan.data.join("certs/authority.pem"))) {
            roots.add_cert(root)?;
        }
    }
    // When it ends is another question.
    roots.set_flags(X509VerifyFlags::NO_CHECK_TIME)?;
    let mut others = Stack::new()?;
    for other in chain.iter().skip(1) {
        others.push(other.clone())?;
    }
    let Some(leaf) = chain.first() else { return Ok(X509VerifyResult::OK) };
    X509StoreContext::new()?.init(&roots.build(), leaf, &others, |context| {
        context.verify_cert()?;
        Ok(context.error())
    })
}

/// The certificates of a file; none where it cannot be read.
fn read_all(path: &Path) -> Vec<X509> {
    std::fs::read(path).ok().and_then(|text| X509::stack_from_pem(&text).ok()).unwrap_or_default()
}

/// Every name that clients will look for must be in one of them.
fn names(plan: &Plan, shown: &[Shown], notes: &mut Notes) {
    let leaves = shown.iter().filter_map(|one| one.chain.first()?.to_der().ok());
    let have: Vec<String> =
        leaves.filter_map(|der| certificate_facts(&der).ok()).flat_map(|(names, _)| names).collect();
    let mut open: Vec<String> = vec![];
    for name in plan.domains.iter().flat_map(|domain| site::of(plan, domain).certificate_names()) {
        if !covers(&have, &name) && !open.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() {
        return notes.fine(format!("{} names in the certificates", have.len()));
    }
    let files: Vec<_> = shown.iter().map(|one| one.file.display().to_string()).collect();
    let message = format!("no certificate is for {}: clients that go there go away", open.join(", "));
    let flags: Vec<_> =
        have.iter().chain(&open).filter(|name| name.parse::<std::net::IpAddr>().is_err()).collect();
    let flags: String = flags.iter().map(|name| format!(" -d {name}")).collect();
    let fix = match plan.tls.as_ref().map(|tls| &tls.source) {
        Some(TlsSource::Files) | None => format!("certbot certonly{flags}"),
        _ => shown.first().map_or_else(String::new, |one| renewal(plan, one)),
    };
    let seen = format!("{}: for {}", files.join(", "), have.join(", "));
    notes.found(Finding::error("certificate-names", message).seen(seen).mend(fix));
}

/// Our own authority, where it has issued one of them.
fn authority(plan: &Plan, shown: &[Shown], notes: &mut Notes) {
    let path = plan.data.join("certs/authority.pem");
    let Some(root) = own_root(plan) else { return };
    let issued =
        |one: &Shown| one.chain.first().is_some_and(|leaf| root.issued(leaf) == X509VerifyResult::OK);
    if !shown.iter().any(issued) {
        return;
    }
    let key = plan.data.join("certs/authority.key");
    if !key.exists() {
        let message = "our own authority cannot renew what it has issued: its key is gone";
        let finding =
            Finding::warning("authority-key", message).seen(format!("there is no {}", key.display()));
        notes.found(finding.mend(format!("put {} back from your copy", key.display())));
    }
    if let Some((left, life)) = life(root.not_before(), root.not_after())
        && left * 10 <= life
    {
        let message =
            format!("our own authority ends in {left} days, and every client has to learn a new one");
        let seen = format!("{}: until {}", path.display(), root.not_after());
        let fix = "parlour init in another folder makes a new one: move its certs/ here, then let clients install `parlour ca show`";
        notes.found(Finding::warning("authority-ends", message).seen(seen).mend(fix));
    }
}
