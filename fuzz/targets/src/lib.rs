//! What the fuzzer calls: one function per reader, which must take any bytes without a panic.
//!
//! `cargo xtask fuzz TARGET` explores; the tests here replay the committed corpora, so that what was once
//! found stays mended.

mod bosh_target;
mod sdp_target;
mod sip_stack_target;
mod sip_target;
mod stun_target;
mod tape;
mod turn_target;
mod xml_target;
mod xmpp_stream_target;

pub use bosh_target::bosh;
pub use sdp_target::sdp;
pub use sip_stack_target::sip_stack;
pub use sip_target::sip;
pub use stun_target::stun;
pub use turn_target::turn;
pub use xml_target::xml;
pub use xmpp_stream_target::xmpp_stream;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The files of a corpus.
    pub(crate) fn corpus(name: &str) -> impl Iterator<Item = Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(name);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
    }

    /// Hands every file of a corpus to its target, whole and cut short.
    fn replay(name: &str, target: fn(&[u8])) {
        let mut files = 0;
        for bytes in corpus(name) {
            target(&bytes);
            target(&bytes[..bytes.len() / 2]);
            target(&bytes[bytes.len() / 3..]);
            files += 1;
        }
        assert!(files >= 10, "only {files} files in the corpus of {name}");
    }

    #[test]
    fn stun_corpus() {
        replay("stun", super::stun);
    }

    #[test]
    fn turn_corpus() {
        replay("turn", super::turn);
    }

    #[test]
    fn sdp_corpus() {
        replay("sdp", super::sdp);
    }

    #[test]
    fn sip_corpus() {
        replay("sip", super::sip);
    }

    #[test]
    fn sip_stack_corpus() {
        replay("sip-stack", super::sip_stack);
    }

    #[test]
    fn xmpp_stream_corpus() {
        replay("xmpp-stream", super::xmpp_stream);
    }

    #[test]
    fn bosh_corpus() {
        replay("bosh", super::bosh);
    }

    #[test]
    fn xml_corpus() {
        replay("xml", super::xml);
    }
}
