//! Two Debian baresip phones register and call one another; each must hear the other's tone.

use crate::{PASSWORD, house};
use std::f64::consts::TAU;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::{free_ports, scratch};
use testkit::process::Program;

/// Samples a second of everything that is played and recorded.
const RATE: u32 = 8000;

/// A phone with a folder of its own. It plays its tone into every call and records what it hears.
pub(crate) struct Phone {
    pub(crate) program: Program,
    dir: PathBuf,
}

/// Where a phone is, and how it reaches the server.
pub(crate) struct Place {
    /// Whose users its telephones are.
    pub(crate) domain: &'static str,
    /// The namespace that it runs in, if not the test's.
    pub(crate) netns: Option<String>,
    /// Its address, as URIs have it.
    pub(crate) host: &'static str,
    /// Its port for SIP.
    pub(crate) port: u16,
    /// The server's URI.
    pub(crate) server: String,
}

impl Place {
    pub(crate) fn here(house: &House, transport: &str) -> Self {
        let server =
            format!("sip:127.0.0.1:{};transport={transport}", house.port(&format!("sip.{transport}")));
        Self { domain: "falcot.com", netns: None, host: "127.0.0.1", port: free_ports(2), server }
    }

    pub(crate) fn command(&self) -> Command {
        let Some(name) = &self.netns else { return Command::new("baresip") };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", name, "baresip"]);
        command
    }
}

impl Phone {
    /// `media` is what the account says of encryption.
    pub(crate) fn start(
        house: &House,
        user: &str,
        (transport, media): (&str, &str),
        tone: f64,
        dial: Option<&str>,
    ) -> Self {
        Self::start_at(&Place::here(house, transport), user, media, tone, dial)
    }

    /// One somewhere else.
    pub(crate) fn start_at(place: &Place, user: &str, media: &str, tone: f64, dial: Option<&str>) -> Self {
        let dir = scratch();
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("tone.wav"), tone_file(tone)).unwrap();
        std::fs::write(dir.join("config"), config(place, &dir.to_string_lossy())).unwrap();
        std::fs::write(dir.join("contacts"), "").unwrap();
        let account = format!(
            "<sip:{user}@{}>;auth_user={user};auth_pass={PASSWORD};regint=60;answermode=auto;audio_codecs=pcmu;{media}\
             outbound=\"{}\"\n",
            place.domain, place.server
        );
        std::fs::write(dir.join("accounts"), account).unwrap();
        let mut command = place.command();
        command.arg("-f").arg(&dir).args(["-t", "60"]);
        if let Some(uri) = dial {
            command.args(["-e", &format!("/dial {uri}")]);
        }
        if place.host.starts_with('[') {
            command.arg("-6");
        }
        Self { program: Program::start(&mut command, "baresip"), dir }
    }

    /// Waits until it has registered.
    pub(crate) fn registered(self) -> Self {
        self.program.expect("200 OK", Duration::from_secs(15));
        self
    }

    /// What it has heard so far, as samples.
    pub(crate) fn heard(&self) -> Vec<i16> {
        let files = std::fs::read_dir(&self.dir).unwrap().flatten();
        let name = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().into_owned();
        let Some(file) = files.into_iter().find(|file| name(file).ends_with("-dec.wav")) else {
            return Vec::new();
        };
        let bytes = std::fs::read(file.path()).unwrap();
        bytes
            .get(44..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    /// Waits until it has heard two seconds, and says how loud a tone is in the last of them.
    pub(crate) fn hears(&self, tone: f64) -> f64 {
        self.hears_after(0, tone)
    }

    /// The same of two seconds behind so many samples.
    pub(crate) fn hears_after(&self, samples: usize, tone: f64) -> f64 {
        let second = RATE as usize;
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let heard = self.heard().split_off(samples);
            if heard.len() >= 2 * second {
                return loudness(&heard[second..2 * second], tone);
            }
            assert!(
                Instant::now() < end,
                "{} samples heard; it said:\n{}",
                heard.len(),
                self.program.output()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// baresip takes its port for TLS beside the one it is given.
pub(crate) fn config(place: &Place, dir: &str) -> String {
    let (Place { host, port, .. }, rtp) = (place, free_ports(42));
    let interface = host.trim_matches(['[', ']']);
    format!(
        "sip_listen {host}:{port}\nnet_interface {interface}\nrtp_ports {rtp}-{}\n\
         audio_source aufile,{dir}/tone.wav\naudio_player aubridge,player\naudio_alert aubridge,alert\nsnd_path {dir}\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule aufile.so\nmodule sndfile.so\nmodule aubridge.so\n\
         module srtp.so\nmodule dtls_srtp.so\nmodule_app account.so\nmodule_app menu.so\n",
        rtp + 40
    )
}

/// A minute of a tone as a WAV file.
fn tone_file(tone: f64) -> Vec<u8> {
    let samples =
        (0..60 * RATE).map(|n| (12_000.0 * (TAU * tone * f64::from(n) / f64::from(RATE)).sin()) as i16);
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let size = u32::try_from(data.len()).unwrap();
    let mut file = Vec::with_capacity(data.len() + 44);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + size).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(2 * RATE).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&size.to_le_bytes());
    file.extend_from_slice(&data);
    file
}

/// How strong a frequency is in some samples: the amplitude of that part alone.
fn loudness(samples: &[i16], tone: f64) -> f64 {
    let (mut along, mut across) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let angle = TAU * tone * n as f64 / f64::from(RATE);
        along += f64::from(sample) * angle.cos();
        across += f64::from(sample) * angle.sin();
    }
    2.0 * along.hypot(across) / samples.len() as f64
}

#[test]
fn a_tone_is_told_from_another() {
    let file = tone_file(440.0);
    let samples: Vec<_> =
        file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    assert!(loudness(&samples[..8000], 440.0) > 11_000.0 && loudness(&samples[..8000], 1000.0) < 100.0);
}

/// Joe waits, roland calls, each by a transport; both must hear the other and not themselves. What they said comes back.
fn call(roland_by: &str, joe_by: &str, media: &str) -> [String; 2] {
    let house = house();
    let joe = Phone::start(&house, "joe", (joe_by, media), 1000.0, None).registered();
    let dial = Some("sip:joe@falcot.com");
    let roland = Phone::start(&house, "roland", (roland_by, media), 440.0, dial);
    let (at_joe, at_roland) =
        ((joe.hears(440.0), joe.hears(1000.0)), (roland.hears(1000.0), roland.hears(440.0)));
    assert!(at_joe.0 > 8000.0 && at_joe.1 < 1000.0, "joe hears {at_joe:?}");
    assert!(at_roland.0 > 8000.0 && at_roland.1 < 1000.0, "roland hears {at_roland:?}");
    roland.program.terminate();
    joe.program.expect("terminated", Duration::from_secs(10));
    [roland, joe].map(|phone| phone.program.output())
}

#[test]
fn two_phones_call_over_udp() {
    call("udp", "udp", "");
}

#[test]
fn two_phones_call_over_tcp() {
    call("tcp", "tcp", "");
}

#[test]
fn two_phones_call_over_tls() {
    call("tls", "tls", "");
}

/// Keys in the session descriptions (RFC 4568) pass as they are; neither phone would do without.
#[test]
fn two_phones_call_with_srtp_from_udp_to_tls() {
    for said in call("udp", "tls", "mediaenc=srtp-mand;") {
        assert!(said.contains("SRTP is Enabled"), "{said}");
    }
}

/// Fingerprints in the session descriptions pass as they are; the keys come by DTLS between the phones (RFC 5764).
#[test]
fn two_phones_call_with_dtls_srtp_from_tcp_to_udp() {
    for said in call("tcp", "udp", "mediaenc=dtls_srtp;") {
        assert!(said.contains("DTLS-SRTP complete (audio/RTP)"), "{said}");
    }
}
