//! The text of a compile error, joined while constants are evaluated.

const CAPACITY: usize = 1024;

/// A text of several parts in a constant, with which generated code panics.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Message {
    /// Joins the parts. A part that would exceed a total of 1024 bytes is skipped.
    #[must_use]
    pub const fn of(parts: &[&str]) -> Self {
        let mut message = Self {
            bytes: [0; CAPACITY],
            len: 0,
        };
        let mut at = 0;
        while at < parts.len() {
            message.push(parts[at].as_bytes());
            at += 1;
        }
        message
    }

    const fn push(&mut self, part: &[u8]) {
        if part.len() > CAPACITY - self.len {
            return;
        }
        let mut at = 0;
        while at < part.len() {
            self.bytes[self.len] = part[at];
            self.len += 1;
            at += 1;
        }
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        // The buffer holds whole `str` parts only, so it is valid UTF-8.
        match str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "two fields write the same key",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_and_what_does_not_fit_is_left_out() {
        const MESSAGE: Message = Message::of(&["key `", "größe", "` is written twice"]);
        assert_eq!(MESSAGE.as_str(), "key `größe` is written twice");
        let long = "x".repeat(CAPACITY);
        assert_eq!(Message::of(&["a", &long, "b"]).as_str(), "ab");
    }
}
