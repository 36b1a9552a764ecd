//! A message on its way, and the memory that MPI reads meanwhile.
#![allow(
    unsafe_code,
    reason = "MPI reads a message's bytes after the call that sent it has returned"
)]

use std::mem;
use std::sync::Arc;

use ::mpi::point_to_point::Destination;
use ::mpi::request::{Request, StaticScope};

/// Keeps the bytes of a message alive until MPI has sent them. If MPI never sends them, because the receiver does not
/// come, they are never freed: MPI has no call that stops a send.
pub(super) struct Sending {
    request: Option<Request<'static, [u8]>>,
    bytes: *const [u8],
}

impl Sending {
    pub(super) fn start(to: &impl Destination, bytes: Arc<[u8]>) -> Self {
        let bytes = Arc::into_raw(bytes);
        // SAFETY: the pointer is one count of an `Arc`, which nobody but `drop` gives back, and that only after MPI has
        // completed the request that holds this reference. Until then, or for ever, the bytes live and do not change.
        let lent: &'static [u8] = unsafe { &*bytes };
        let request = Some(to.immediate_send(StaticScope, lent));
        Self { request, bytes }
    }

    /// Returns true if MPI has sent the bytes.
    pub(super) fn is_done(&mut self) -> bool {
        self.request = self.request.take().and_then(|request| request.test().err());
        self.request.is_none()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        match self.request.take() {
            Some(request) => mem::forget(request),
            // SAFETY: `start` took this count out of its `Arc`, and it is given back once, here. The request, the only
            // holder of a reference to the bytes, was consumed when it was complete.
            None => drop(unsafe { Arc::from_raw(self.bytes) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use ::mpi::Threading;
    use ::mpi::point_to_point::Source;
    use ::mpi::traits::Communicator;

    use super::*;

    #[test]
    fn the_bytes_live_until_they_are_received_and_no_longer() {
        // A program that `mpirun` did not start is the only process of its world.
        let (universe, _) = ::mpi::initialize_with_threading(Threading::Funneled).unwrap();
        let world = universe.world();
        let this = world.this_process();
        // The message is too long to be sent before it is received.
        let bytes: Arc<[u8]> = vec![7; 32 << 20].into();
        let mut sending = Sending::start(&this, Arc::clone(&bytes));
        assert!(!sending.is_done());
        assert_eq!(Arc::strong_count(&bytes), 2);
        assert!(this.receive_vec::<u8>().0 == *bytes);
        while !sending.is_done() {}
        drop(sending);
        assert_eq!(Arc::strong_count(&bytes), 1);

        let forgotten = Sending::start(&this, Arc::clone(&bytes));
        drop(forgotten);
        assert_eq!(Arc::strong_count(&bytes), 2, "nobody has received it");
        assert!(this.receive_vec::<u8>().0 == *bytes);
    }
}
