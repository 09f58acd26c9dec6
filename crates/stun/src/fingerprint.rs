//! FINGERPRINT (RFC 8489 §14.7): the CRC-32 of ITU V.42 over the message, mixed with a fixed word.

/// What the CRC is mixed with, so that a protocol with its own CRC-32 at the end is told apart.
const MIX: u32 = 0x5354_554E;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// The CRC-32 of some bytes, going on from that of those before them.
fn update(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8)
}

/// The value of a FINGERPRINT that starts at `at` in `message`, whose header length is taken to end behind it.
pub(crate) fn of(message: &[u8], at: usize) -> [u8; 4] {
    let crc = update(u32::MAX, &message[..2]);
    let crc = update(crc, &length_up_to(at + 8));
    (!update(crc, &message[4..at]) ^ MIX).to_be_bytes()
}

/// The header's length field for a message that ends at `end`.
pub(crate) fn length_up_to(end: usize) -> [u8; 2] {
    u16::try_from(end - crate::HEADER).expect("a message is shorter than 64 KiB").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc_32() {
        assert_eq!(!update(u32::MAX, b"123456789"), 0xCBF4_3926);
    }
}
