//! What DTLS needs of OpenSSL beyond what the `openssl` crate offers: starting behind a cookie exchange that somebody else
//! has done, retransmission timers, and record buffers that an idle session does not keep.

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::SslStream;
use openssl_sys::{SSL, SSL_ctrl};
use std::ffi::{c_int, c_long};
use std::ptr::null_mut;
use std::time::Duration;

/// `BIO_ADDR`, which only OpenSSL looks into.
#[repr(C)]
struct Address {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn BIO_ADDR_new() -> *mut Address;
    fn BIO_ADDR_free(address: *mut Address);
    fn DTLSv1_listen(ssl: *mut SSL, client: *mut Address) -> c_int;
    fn SSL_alloc_buffers(ssl: *mut SSL) -> c_int;
    fn SSL_free_buffers(ssl: *mut SSL) -> c_int;
}

/// `DTLS_CTRL_GET_TIMEOUT` of `openssl/ssl.h`.
const GET_TIMEOUT: c_int = 73;
/// `DTLS_CTRL_HANDLE_TIMEOUT` of `openssl/ssl.h`.
const HANDLE_TIMEOUT: c_int = 74;

/// Has a fresh session begin with the ClientHello that its BIO gives next, whose cookie is valid: whether it took it.
pub(crate) fn begin_behind_cookie<S>(session: &mut SslStream<S>) -> bool {
    // SAFETY: takes no argument; null is its only failure.
    let address = unsafe { BIO_ADDR_new() };
    if address.is_null() {
        return false;
    }
    // SAFETY: the session is borrowed mutably, so nobody else uses it; it writes the peer's address (of which our BIO
    // tells nothing) into `address`, which was made just now and is freed right after, once.
    let taken = unsafe {
        let taken = DTLSv1_listen(session.ssl().as_ptr(), address);
        BIO_ADDR_free(address);
        taken
    };
    // What went wrong must not be found by whoever asks next.
    drop(ErrorStack::get());
    taken == 1
}

/// How long until the last flight is to be sent again; none while nothing is unanswered.
pub(crate) fn retransmits_in<S>(session: &SslStream<S>) -> Option<Duration> {
    let mut left = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: this command writes one `timeval` through its last argument and changes nothing of the session.
    let runs = unsafe { SSL_ctrl(session.ssl().as_ptr(), GET_TIMEOUT, 0, (&raw mut left).cast()) };
    let whole = Duration::from_secs(u64::try_from(left.tv_sec).unwrap_or(0));
    (runs == 1).then(|| whole + Duration::from_micros(u64::try_from(left.tv_usec).unwrap_or(0)))
}

/// Sends the last flight again if its time has come; `false` when that was done too often.
pub(crate) fn retransmit<S>(session: &mut SslStream<S>) -> bool {
    // SAFETY: this command takes no argument; the session is borrowed mutably.
    let done: c_long = unsafe { SSL_ctrl(session.ssl().as_ptr(), HANDLE_TIMEOUT, 0, null_mut()) };
    drop(ErrorStack::get());
    done >= 0
}

/// Gives a session the buffers for its next records (some 34 KiB).
pub(crate) fn take_buffers<S>(session: &mut SslStream<S>) -> bool {
    // SAFETY: it only allocates for the session, which is borrowed mutably.
    unsafe { SSL_alloc_buffers(session.ssl().as_ptr()) == 1 }
}

/// Takes a session's buffers away unless there is something in them.
pub(crate) fn give_up_buffers<S>(session: &mut SslStream<S>) {
    // SAFETY: it frees the session's own buffers only when nothing is in them; they are made anew when needed.
    unsafe { SSL_free_buffers(session.ssl().as_ptr()) };
}
