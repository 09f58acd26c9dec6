//! ERROR-CODE (RFC 8489 §14.8) and ADDRESS-ERROR-CODE (RFC 8656 §18.12).

use super::{Attribute, Family};
use crate::{Kind, TransactionId};

/// The longest reason phrase, in octets (RFC 8489 §14.8).
const MAX_REASON: usize = 763;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    /// 300 to 699.
    pub code: u16,
    /// For people; it may be empty.
    pub reason: &'a str,
}

impl<'a> Attribute<'a> for ErrorCode<'a> {
    const KIND: Kind = Kind::ERROR_CODE;

    fn read(value: &'a [u8], _: TransactionId) -> Option<Self> {
        let (&[_, _, class, number], reason) = value.split_first_chunk::<4>()?;
        Some(Self { code: code(class, number)?, reason: phrase(reason)? })
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        write(0, self.code, self.reason, out);
    }
}

/// Why one of the two address families of an Allocate was not allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressErrorCode<'a> {
    /// The family that is missing.
    pub family: Family,
    /// 440 or 508.
    pub code: u16,
    /// For people; it may be empty.
    pub reason: &'a str,
}

impl<'a> Attribute<'a> for AddressErrorCode<'a> {
    const KIND: Kind = Kind::ADDRESS_ERROR_CODE;

    fn read(value: &'a [u8], _: TransactionId) -> Option<Self> {
        let (&[family, _, class, number], reason) = value.split_first_chunk::<4>()?;
        Some(Self { family: Family::of(family)?, code: code(class, number)?, reason: phrase(reason)? })
    }

    fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
        write(self.family.number(), self.code, self.reason, out);
    }
}

fn code(class: u8, number: u8) -> Option<u16> {
    let class = class & 7;
    ((3..=6).contains(&class) && number < 100).then_some(u16::from(class) * 100 + u16::from(number))
}

fn phrase(reason: &[u8]) -> Option<&str> {
    if reason.len() > MAX_REASON { None } else { str::from_utf8(reason).ok() }
}

fn write(first: u8, code: u16, reason: &str, out: &mut Vec<u8>) {
    let [class, number] = [code / 100, code % 100].map(|part| part.to_be_bytes()[1]);
    out.extend_from_slice(&[first, 0, class, number]);
    out.extend_from_slice(reason.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn error_code() {
        both_ways(&ErrorCode { code: 401, reason: "Unauthorised" }, b"\0\0\x04\x01Unauthorised");
        both_ways(&ErrorCode { code: 699, reason: "" }, &[0, 0, 6, 99]);
        refuses::<ErrorCode<'_>>(&[
            &[],
            &[0, 0, 4],
            &[0, 0, 2, 0],
            &[0, 0, 7, 0],
            &[0, 0, 4, 100],
            &[0, 0, 4, 1, 0xFF],
        ]);
        refuses::<ErrorCode<'_>>(&[&[4; 800]]);
    }

    #[test]
    fn address_error_code() {
        let missing = AddressErrorCode { family: Family::V6, code: 440, reason: "no" };
        both_ways(&missing, b"\x02\0\x04\x28no");
        refuses::<AddressErrorCode<'_>>(&[&[], &[0, 0, 4, 40], &[1, 0, 1, 40]]);
    }
}
