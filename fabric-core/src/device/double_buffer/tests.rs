//! A fake device that copies as late as it may, and one that copies at once: real devices are between these two.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::*;

/// How long each buffer is.
const LEN: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Direction {
    Up,
    Down,
}

#[derive(Default)]
struct FakeDevice {
    memory: Vec<u8>,
    /// Copies only when it is waited for.
    late: bool,
    /// The copy of the window that begins there fails.
    fails_at: Option<usize>,
    /// `+4` where the copy of the window at 4 began, `=4` where it ended.
    story: Vec<String>,
}

type Shared = Rc<RefCell<FakeDevice>>;

struct Fake {
    device: Shared,
    memory: [u8; LEN],
    under_way: Option<(Direction, Range<usize>)>,
}

impl Fake {
    fn begin(&mut self, direction: Direction, window: Range<usize>) -> candle_core::Result<()> {
        assert_eq!(self.under_way, None, "a copy of this buffer is under direction");
        let late = {
            let mut device = self.device.borrow_mut();
            device.story.push(format!("+{}", window.start));
            device.late
        };
        self.under_way = Some((direction, window));
        if late { Ok(()) } else { self.copy() }
    }

    fn copy(&mut self) -> candle_core::Result<()> {
        let Some((direction, window)) = self.under_way.take() else {
            return Ok(());
        };
        let mut device = self.device.borrow_mut();
        device.story.push(format!("={}", window.start));
        if device.fails_at == Some(window.start) {
            candle_core::bail!("the copy at {} failed", window.start);
        }
        let len = window.len();
        match direction {
            Direction::Up => device.memory[window].copy_from_slice(&self.memory[..len]),
            Direction::Down => self.memory[..len].copy_from_slice(&device.memory[window]),
        }
        Ok(())
    }
}

impl Buffer for Fake {
    fn wait(&mut self) -> candle_core::Result<&mut [u8]> {
        self.copy()?;
        Ok(&mut self.memory)
    }
}

fn device(memory: Vec<u8>, late: bool) -> (Shared, [Fake; 2]) {
    let device = Rc::new(RefCell::new(FakeDevice {
        memory,
        late,
        ..FakeDevice::default()
    }));
    let fake = || Fake {
        device: device.clone(),
        memory: [0; LEN],
        under_way: None,
    };
    let buffers = [fake(), fake()];
    (device, buffers)
}

fn bytes(len: usize) -> Vec<u8> {
    (1..=u8::MAX).cycle().take(len).collect()
}

/// Sends all of `bytes` to the device; `fill` can fail.
fn send_all(buffers: [Fake; 2], bytes: &[u8], fill: impl Fn(usize) -> Result<()>) -> Result<()> {
    let mut turns = DoubleBuffer::new("weight", buffers);
    for window in windows(0..bytes.len(), LEN) {
        turns.send(
            window.len(),
            |into| {
                fill(window.start)?;
                into.copy_from_slice(&bytes[window.clone()]);
                Ok(())
            },
            |buffer| buffer.begin(Direction::Up, window.clone()),
        )?;
    }
    turns.finish()
}

/// Receives all that the device has; `take` can fail.
fn receive_all(buffers: [Fake; 2], len: usize, take: impl Fn(usize) -> Result<()>) -> (Vec<u8>, Result<()>) {
    let mut found = Vec::new();
    let outcome = DoubleBuffer::new("weight", buffers).receive(
        windows(0..len, LEN),
        |buffer, window| buffer.begin(Direction::Down, window),
        |bytes| {
            take(found.len())?;
            found.extend_from_slice(bytes);
            Ok(())
        },
    );
    (found, outcome)
}

const LENS: [usize; 8] = [0, 1, LEN - 1, LEN, LEN + 1, 2 * LEN, 3 * LEN, 10 * LEN + 3];

#[test]
fn everything_is_sent_in_order_whenever_the_device_copies() {
    for (len, late) in LENS.into_iter().flat_map(|len| [(len, false), (len, true)]) {
        let (device, buffers) = device(vec![0; len], late);
        send_all(buffers, &bytes(len), |_| Ok(())).expect("nothing fails");
        assert_eq!(device.borrow().memory, bytes(len), "{len} bytes, late: {late}");
    }
}

#[test]
fn everything_is_received_in_order_whenever_the_device_copies() {
    for (len, late) in LENS.into_iter().flat_map(|len| [(len, false), (len, true)]) {
        let (_, buffers) = device(bytes(len), late);
        let (found, outcome) = receive_all(buffers, len, |_| Ok(()));
        outcome.expect("nothing fails");
        assert_eq!(found, bytes(len), "{len} bytes, late: {late}");
    }
}

#[test]
fn one_buffer_is_filled_while_the_other_is_copied() {
    let (device, buffers) = device(vec![0; 4 * LEN], true);
    let fill = |at: usize| {
        device.borrow_mut().story.push(format!("fill {at}"));
        Ok(())
    };
    send_all(buffers, &bytes(4 * LEN), fill).expect("nothing fails");
    // The copy of 0 is waited for only when its buffer is needed again, for 16.
    let expected = [
        "fill 0", "+0", "fill 8", "+8", "=0", "fill 16", "+16", "=8", "fill 24", "+24", "=16", "=24",
    ];
    assert_eq!(device.borrow().story, expected);
}

#[test]
fn one_buffer_is_emptied_while_the_other_is_copied() {
    let (device, buffers) = device(bytes(4 * LEN), true);
    let take = |at: usize| {
        device.borrow_mut().story.push(format!("take {at}"));
        Ok(())
    };
    receive_all(buffers, 4 * LEN, take).1.expect("nothing fails");
    // When 0 is taken, 8 is under direction; when 8 is taken, 16 is.
    let expected = [
        "+0", "+8", "=0", "take 0", "+16", "=8", "take 8", "+24", "=16", "take 16", "=24", "take 24",
    ];
    assert_eq!(device.borrow().story, expected);
}

/// However it ended: what began has ended.
fn nothing_is_under_way(device: &Shared) {
    let story = &device.borrow().story;
    let count = |sign: char| story.iter().filter(|what| what.starts_with(sign)).count();
    assert_eq!(count('+'), count('='), "{story:?}");
}

/// The error's message.
fn failed(outcome: Result<()>, device: &Shared) -> String {
    nothing_is_under_way(device);
    outcome.expect_err("something fails").to_string()
}

#[test]
fn an_error_of_the_host_ends_it_and_nothing_stays_under_way() {
    for (at, late) in (0..5).flat_map(|at| [(at * LEN, false), (at * LEN, true)]) {
        let refuse = |now: usize| match now {
            now if now == at => Err(Error::Internal(format!("the host failed at {now}"))),
            _ => Ok(()),
        };
        let (sent, buffers) = device(vec![0; 5 * LEN], late);
        let outcome = send_all(buffers, &bytes(5 * LEN), refuse);
        assert!(failed(outcome, &sent).contains(&format!("the host failed at {at}")));
        assert_eq!(sent.borrow().memory[..at], bytes(at), "what came before has arrived");
        assert!(sent.borrow().memory[at..].iter().all(|byte| *byte == 0));

        let (received, buffers) = device(bytes(5 * LEN), late);
        let (found, outcome) = receive_all(buffers, 5 * LEN, refuse);
        assert!(failed(outcome, &received).contains(&format!("the host failed at {at}")));
        assert_eq!(found, bytes(at));
    }
}

#[test]
fn an_error_of_the_device_is_told_and_nothing_is_taken_after_it() {
    for (at, late) in (0..5).flat_map(|at| [(at * LEN, false), (at * LEN, true)]) {
        let (sent, buffers) = device(vec![0; 5 * LEN], late);
        sent.borrow_mut().fails_at = Some(at);
        let outcome = send_all(buffers, &bytes(5 * LEN), |_| Ok(()));
        assert!(failed(outcome, &sent).contains(&format!("the copy at {at} failed")));

        let (received, buffers) = device(bytes(5 * LEN), late);
        received.borrow_mut().fails_at = Some(at);
        let (found, outcome) = receive_all(buffers, 5 * LEN, |_| Ok(()));
        assert!(failed(outcome, &received).contains(&format!("the copy at {at} failed")));
        assert!(bytes(at).starts_with(&found), "{at}: {found:?}");
    }
}

#[test]
fn a_panic_of_the_host_leaves_nothing_under_way() {
    for late in [false, true] {
        let panics = |now: usize| match now {
            LEN => panic!("as it should"),
            _ => Ok(()),
        };
        let (sent, buffers) = device(vec![0; 3 * LEN], late);
        let all = bytes(3 * LEN);
        catch_unwind(AssertUnwindSafe(|| send_all(buffers, &all, panics))).expect_err("it panics");
        nothing_is_under_way(&sent);
        assert_eq!(sent.borrow().memory[..LEN], bytes(LEN));

        let (received, buffers) = device(bytes(3 * LEN), late);
        catch_unwind(AssertUnwindSafe(|| receive_all(buffers, 3 * LEN, panics))).expect_err("it panics");
        nothing_is_under_way(&received);
    }
}

#[test]
fn a_window_longer_than_a_buffer_is_an_error() {
    let (device, buffers) = device(vec![0; 2 * LEN], true);
    let outcome = DoubleBuffer::new("weight", buffers).send(LEN + 1, |_| Ok(()), |_| panic!("not begun"));
    assert!(failed(outcome, &device).contains("9 bytes of `weight` do not fit in a buffer of 8"));
}
