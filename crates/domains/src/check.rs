//! What the DNS says beside what it should say: each difference with its weight, what was seen, and what mends it.

use crate::message::{Answer, word};
use crate::record::{Data, Record};
use crate::zone::Zone;
use domain::base::iana::Rtype;
use std::collections::BTreeMap;

/// Where was looked.
#[derive(Clone, Debug)]
pub struct View {
    /// Who was asked.
    pub name: String,
    /// Whether it is one of the domain's own servers; a resolver may remember what was before.
    pub own: bool,
    /// What it said; why it did not, in words.
    pub answers: BTreeMap<Question, Result<Answer, String>>,
}

/// What is asked: a name, and a type of records.
pub type Question = (String, u16);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something may not work, or not for everybody.
    Warning,
    /// Good to know.
    Notice,
}

impl Severity {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// A difference, or something else that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one word for programs: `missing`, `foreign` …
    pub what: &'static str,
    /// The name that it is about.
    pub owner: String,
    /// In a sentence.
    pub message: String,
    /// What was seen.
    pub evidence: String,
    /// What mends it: a line to paste, or what to do.
    pub fix: String,
    /// Where it was seen.
    pub views: Vec<String>,
}

/// What is to be asked about a zone, each once, in its order. Names with addresses are asked for both families.
pub fn questions(records: &[Record]) -> Vec<Question> {
    let mut all: Vec<Question> = vec![];
    for record in records {
        let kinds = match record.data.kind() {
            Rtype::A | Rtype::AAAA => vec![Rtype::A, Rtype::AAAA],
            kind => vec![kind],
        };
        for kind in kinds {
            let question = (record.owner.clone(), kind.to_int());
            if !all.contains(&question) {
                all.push(question);
            }
        }
    }
    all
}

/// Every difference between a zone and what is seen of it, each once.
pub fn differences(zone: &Zone, views: &[View]) -> Vec<Finding> {
    let mut merged: Vec<Finding> = vec![];
    let found = |own: bool| {
        let views = views.iter().filter(move |view| view.own == own);
        views.flat_map(|view| seen_from(zone, view)).collect::<Vec<_>>()
    };
    let of_own = found(true);
    let asked = views.iter().any(|view| view.own && view.answers.values().any(Result::is_ok));
    let remembered = |mut finding: Finding| {
        let known = of_own.iter().any(|own| (own.what, &own.owner) == (finding.what, &finding.owner));
        if asked && !known && finding.what != "silent" && finding.severity == Severity::Error {
            finding.severity = Severity::Warning;
            finding
                .message
                .push_str("; the domain's own servers know better, and a resolver remembers for a while");
            finding.what = "remembered";
        }
        finding
    };
    for finding in of_own.iter().cloned().chain(found(false).into_iter().map(remembered)) {
        let same = |other: &&mut Finding| {
            (other.what, &other.message, &other.fix) == (finding.what, &finding.message, &finding.fix)
        };
        match merged.iter_mut().find(same) {
            Some(other) => other.views.extend(finding.views),
            None => merged.push(finding),
        }
    }
    merged
}

fn seen_from(zone: &Zone, view: &View) -> Vec<Finding> {
    let silent = view.answers.values().filter(|answer| answer.is_err()).count();
    if silent > 0 {
        let why = view.answers.values().find_map(|answer| answer.as_ref().err()).cloned().unwrap_or_default();
        let message = format!("{} does not answer {silent} of {} questions", view.name, view.answers.len());
        let fix = "see that the name server runs, and that UDP and TCP port 53 reach it".to_owned();
        return vec![about(view, Severity::Error, "silent", zone.apex.as_str(), message, why, fix)];
    }
    let mut all = vec![];
    for (owner, kind) in questions(&zone.records) {
        if let Some(Ok(answer)) = view.answers.get(&(owner.clone(), kind)) {
            all.extend(Place { zone, view, owner: &owner, kind: Rtype::from_int(kind), answer }.compare());
        }
    }
    all
}

fn about(
    view: &View,
    severity: Severity,
    what: &'static str,
    owner: &str,
    message: String,
    evidence: String,
    fix: String,
) -> Finding {
    Finding {
        severity,
        what,
        owner: owner.to_owned(),
        message,
        evidence,
        fix,
        views: vec![view.name.clone()],
    }
}

/// What one view says of one name and type.
struct Place<'a> {
    zone: &'a Zone,
    view: &'a View,
    owner: &'a str,
    kind: Rtype,
    answer: &'a Answer,
}

impl Place<'_> {
    fn compare(&self) -> Vec<Finding> {
        if !self.answer.is_good() {
            return vec![self.refused()];
        }
        if self.view.own && !self.answer.authoritative {
            return vec![self.lame()];
        }
        if let Some(target) = self.answer.alias(self.owner) {
            return vec![self.alias(target)];
        }
        let found: Vec<&Data> = self.answer.of(self.owner, self.kind).collect();
        let wanted = self.zone.records.iter().filter(|r| r.owner == self.owner && r.data.kind() == self.kind);
        let wanted: Vec<&Record> = wanted.collect();
        let missing = wanted.iter().filter(|record| !found.contains(&&record.data));
        let foreign = found.iter().filter(|data| !wanted.iter().any(|record| record.data == ***data));
        let missing = missing.map(|record| self.missing(record, &found));
        missing.chain(foreign.filter_map(|data| self.foreign(data, &wanted))).collect()
    }

    fn find(
        &self,
        severity: Severity,
        what: &'static str,
        message: String,
        evidence: String,
        fix: String,
    ) -> Finding {
        about(self.view, severity, what, self.owner, message, evidence, fix)
    }

    fn refused(&self) -> Finding {
        let message = format!("{} refuses to say what {} is", self.view.name, self.owner);
        let fix = "see that the server serves the zone, and its log".to_owned();
        self.find(Severity::Error, "refused", message, word(self.answer.code), fix)
    }

    fn lame(&self) -> Finding {
        let message = format!("{} is a name server of the zone and does not serve it", self.view.name);
        let fix = format!("let it serve {}, or take it out of the NS records", self.zone.apex);
        Finding {
            owner: self.zone.apex.to_string(),
            ..self.find(Severity::Error, "lame", message, "not authoritative".into(), fix)
        }
    }

    fn alias(&self, target: &str) -> Finding {
        let message = format!("{} is an alias: SRV records must not lead to one (RFC 2782)", self.owner);
        let evidence = format!("{}. CNAME {target}.", self.owner);
        self.find(
            Severity::Error,
            "alias",
            message,
            evidence,
            format!("in place of the CNAME record: {}", self.lines()),
        )
    }

    /// What ought to be at the name.
    fn lines(&self) -> String {
        let own = self.zone.records.iter().filter(|record| record.owner == self.owner);
        own.filter_map(|record| record.to_line(self.zone.ttl).ok()).collect::<Vec<_>>().join("\n")
    }

    fn missing(&self, record: &Record, found: &[&Data]) -> Finding {
        let denial = matches!(record.data, Data::Srv { target: None, .. });
        let severity = if denial { Severity::Notice } else { Severity::Error };
        let message = match denial {
            true => format!("nothing says that {} is not offered", self.owner),
            false => format!("{} has no {} record {}", self.owner, self.kind, text(&record.data)),
        };
        let evidence = match found {
            [] if self.answer.code == 3 => "there is no such name (NXDOMAIN)".to_owned(),
            [] => format!("no {} record", self.kind),
            found => found.iter().map(|data| text(data)).collect::<Vec<_>>().join(", "),
        };
        self.find(severity, "missing", message, evidence, record.to_line(self.zone.ttl).unwrap_or_default())
    }

    /// What is there and not ours; nothing where it does no harm.
    fn foreign(&self, data: &Data, wanted: &[&Record]) -> Option<Finding> {
        let (severity, why) = self.harm(data, wanted)?;
        let line = Record { owner: self.owner.to_owned(), data: data.clone() };
        let line = line.to_line(self.zone.ttl).unwrap_or_default();
        let message = format!("{} has a {} record {}: {why}", self.owner, self.kind, text(data));
        let fix = format!(
            "take out, unless you want it: {}",
            line.replacen(&format!(" {} IN", self.zone.ttl), "", 1)
        );
        Some(self.find(severity, "foreign", message, text(data), fix))
    }

    fn harm(&self, data: &Data, wanted: &[&Record]) -> Option<(Severity, &'static str)> {
        match data {
            Data::Address(_) => Some((Severity::Error, "clients go to an address that is not this host's")),
            Data::Srv { target: Some(target), .. } if self.is_ours(target) => Some((
                Severity::Error,
                "it leads to this host, where nothing of the kind listens on that port",
            )),
            Data::Srv { target: None, .. } => {
                Some((Severity::Error, "it says that the service is not offered"))
            }
            Data::Srv { .. }
                if wanted.iter().any(|record| matches!(record.data, Data::Srv { target: None, .. })) =>
            {
                Some((Severity::Warning, "it leads to another server for what is not offered here"))
            }
            Data::Srv { .. } => Some((Severity::Warning, "it leads some clients to another server")),
            Data::Naptr { service, .. } => {
                let ours = ["SIP", "RELAY"].iter().any(|word| service.to_ascii_uppercase().starts_with(word));
                ours.then_some((Severity::Warning, "it leads clients another way than ours"))
            }
            Data::Https { .. } => Some((Severity::Warning, "browsers are told something else")),
            Data::Tlsa(_) => Some((Severity::Notice, "it is the key of no certificate in force")),
            Data::Caa(_) => Some((Severity::Notice, "another authority may issue certificates, too")),
            _ => None,
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        self.zone
            .records
            .iter()
            .any(|r| matches!(&r.data, Data::Srv { target: Some(target), .. } if target == host))
    }
}

fn text(data: &Data) -> String {
    data.to_text().unwrap_or_default()
}

/// What is seen of DNSSEC (RFC 4035).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signatures {
    /// The zone has keys.
    pub keys: bool,
    /// The zone above vouches for one of them.
    pub delegated: bool,
    /// The resolver has verified what it says.
    pub verified: bool,
    /// The resolver says something only when told not to verify it.
    pub broken: bool,
}

impl Signatures {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self { broken: true, .. } => "broken",
            Self { verified: true, .. } => "verified",
            Self { keys: true, delegated: true, .. } => "signed",
            Self { keys: true, .. } => "not delegated",
            Self { delegated: true, .. } => "keys missing",
            _ => "unsigned",
        }
    }

    /// What of it deserves a look; `pinned`: TLSA records are to be believed.
    pub fn findings(self, apex: &str, pinned: bool, resolver: &str) -> Vec<Finding> {
        let find = |severity, what, message: String, fix: &str| Finding {
            severity,
            what,
            owner: apex.to_owned(),
            message,
            evidence: self.word().to_owned(),
            fix: fix.to_owned(),
            views: vec![resolver.to_owned()],
        };
        let broken = "sign the zone anew, or let the zone above withdraw its DS record";
        let mut all = match self {
            Self { broken: true, .. } => {
                let message =
                    format!("the signatures of {apex} are broken: whoever verifies them hears nothing");
                vec![find(Severity::Error, "dnssec", message, broken)]
            }
            Self { keys: false, delegated: true, .. } => {
                let message = format!("the zone above vouches for keys that {apex} does not have");
                vec![find(Severity::Error, "dnssec", message, broken)]
            }
            Self { keys: true, delegated: false, verified: false, .. } => {
                let message = format!("{apex} is signed, but the zone above does not vouch for its key");
                vec![find(
                    Severity::Notice,
                    "dnssec",
                    message,
                    "give the registrar the DS record of the zone",
                )]
            }
            _ => vec![],
        };
        if pinned && !self.delegated && !self.verified {
            let message =
                format!("the TLSA records of {apex} are believed by nobody: the zone is not signed");
            all.push(find(Severity::Warning, "pinned", message, "sign the zone, or set dns.tlsa = false"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TTL;
    use wire::Domain;

    const HOST: &str = "sip.falcot.com";
    const SERVICE: &str = "_sip._udp.falcot.com";
    const OFF: &str = "_sips._tcp.falcot.com";

    fn srv(port: u16, target: Option<&str>) -> Data {
        Data::Srv { priority: 0, weight: 0, port, target: target.map(str::to_owned) }
    }

    fn address(last: u8) -> Data {
        Data::Address([192, 0, 2, last].into())
    }

    fn record(owner: &str, data: Data) -> Record {
        Record { owner: owner.into(), data }
    }

    fn zone() -> Zone {
        let records =
            vec![record(HOST, address(1)), record(SERVICE, srv(5060, Some(HOST))), record(OFF, srv(0, None))];
        Zone { apex: Domain::new("falcot.com").unwrap(), records, ttl: TTL }
    }

    fn view(own: bool, there: &[Record]) -> View {
        let answers = questions(&zone().records).into_iter().map(|(owner, kind)| {
            let of = |r: &&Record| r.owner == owner && [kind, 5].contains(&r.data.kind().to_int());
            let records: Vec<_> = there.iter().filter(of).map(|record| (record.clone(), 60)).collect();
            ((owner, kind), Ok(Answer { authoritative: own, records, ..Answer::default() }))
        });
        View { name: if own { "ns" } else { "resolver" }.into(), own, answers: answers.collect() }
    }

    /// Findings as `severity what: message | fix`.
    fn check(there: &[Record], expected: &[&str]) {
        let found = differences(&zone(), &[view(true, there)]);
        let found: Vec<_> = found
            .iter()
            .map(|f| format!("{} {}: {} | {}", f.severity.word(), f.what, f.message, f.fix))
            .collect();
        assert_eq!(found, expected);
    }

    fn but(n: usize, instead: &[Record]) -> Vec<Record> {
        let mut there = zone().records;
        there.remove(n);
        there.extend_from_slice(instead);
        there
    }

    #[test]
    fn a_good_zone_is_passed_over_in_silence() {
        check(&zone().records, &[]);
        assert_eq!(questions(&zone().records).len(), 4, "addresses of both families");
    }

    #[test]
    fn what_is_missing_comes_with_its_line() {
        check(
            &but(1, &[]),
            &["error missing: _sip._udp.falcot.com has no SRV record 0 0 5060 sip.falcot.com. | \
               _sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com."],
        );
        check(
            &but(2, &[]),
            &["notice missing: nothing says that _sips._tcp.falcot.com is not offered | \
               _sips._tcp.falcot.com. 3600 IN SRV 0 0 0 ."],
        );
    }

    #[test]
    fn what_leads_elsewhere() {
        let mut there = zone().records;
        there.push(record(HOST, address(9)));
        check(
            &there,
            &[
                "error foreign: sip.falcot.com has a A record 192.0.2.9: clients go to an address that is not this host's | \
               take out, unless you want it: sip.falcot.com. A 192.0.2.9",
            ],
        );
        let mut there = zone().records;
        there.push(record(SERVICE, srv(5070, Some(HOST))));
        there.push(record(OFF, srv(5061, Some("sip.example.net"))));
        check(
            &there,
            &[
                "error foreign: _sip._udp.falcot.com has a SRV record 0 0 5070 sip.falcot.com.: it leads to this host, where \
               nothing of the kind listens on that port | take out, unless you want it: _sip._udp.falcot.com. SRV 0 0 5070 \
               sip.falcot.com.",
                "warning foreign: _sips._tcp.falcot.com has a SRV record 0 0 5061 sip.example.net.: it leads to another server \
               for what is not offered here | take out, unless you want it: _sips._tcp.falcot.com. SRV 0 0 5061 \
               sip.example.net.",
            ],
        );
    }

    #[test]
    fn an_alias_is_no_host() {
        let there = but(0, &[record(HOST, Data::Alias("www.falcot.com".into()))]);
        check(
            &there,
            &[
                "error alias: sip.falcot.com is an alias: SRV records must not lead to one (RFC 2782) | in place of the CNAME \
               record: sip.falcot.com. 3600 IN A 192.0.2.1",
            ],
        );
    }

    #[test]
    fn a_resolver_may_remember_what_was_before() {
        let views = [view(true, &zone().records), view(false, &but(1, &[]))];
        let found = differences(&zone(), &views);
        assert_eq!((found.len(), found[0].severity, found[0].what), (1, Severity::Warning, "remembered"));
        let views = [view(true, &but(1, &[])), view(false, &but(1, &[]))];
        let found = differences(&zone(), &views);
        assert_eq!(
            (found.len(), found[0].severity, &found[0].views[..]),
            (1, Severity::Error, &["ns".into(), "resolver".into()][..])
        );
    }

    #[test]
    fn servers_that_do_not_serve() {
        let mut lame = view(true, &zone().records);
        lame.answers.values_mut().flatten().for_each(|answer| answer.authoritative = false);
        let found = differences(&zone(), &[lame.clone()]);
        assert_eq!((found.len(), found[0].what), (1, "lame"));
        lame.answers.values_mut().flatten().for_each(|answer| answer.code = 5);
        assert_eq!(differences(&zone(), &[lame.clone()])[0].evidence, "REFUSED");
        lame.answers.values_mut().for_each(|answer| *answer = Err("nothing came in 6 s".into()));
        let found = differences(&zone(), &[lame]);
        assert_eq!((found.len(), found[0].what, &*found[0].evidence), (1, "silent", "nothing came in 6 s"));
    }

    #[test]
    fn signatures() {
        let none = Signatures { keys: false, delegated: false, verified: false, broken: false };
        let whats = |signatures: Signatures, pinned| {
            let found = signatures.findings("falcot.com", pinned, "resolver");
            found.into_iter().map(|f| (f.severity, f.what)).collect::<Vec<_>>()
        };
        assert_eq!(whats(none, false), []);
        assert_eq!(whats(none, true), [(Severity::Warning, "pinned")]);
        let keys = Signatures { keys: true, ..none };
        assert_eq!((keys.word(), whats(keys, false)), ("not delegated", vec![(Severity::Notice, "dnssec")]));
        let good = Signatures { keys: true, delegated: true, verified: true, broken: false };
        assert_eq!((good.word(), whats(good, true)), ("verified", vec![]));
        let broken = Signatures { broken: true, verified: false, ..good };
        assert_eq!((broken.word(), whats(broken, true)), ("broken", vec![(Severity::Error, "dnssec")]));
        let lost = Signatures { delegated: true, ..none };
        assert_eq!(whats(lost, false), [(Severity::Error, "dnssec")]);
    }
}
