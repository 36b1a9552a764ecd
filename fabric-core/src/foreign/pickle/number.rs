//! Decodes integers of any size, and the numbers and texts of protocol 0.

use super::{Object, Problem};

/// A two's complement integer, little-endian, as in `LONG1` and `LONG4`. An integer of more than 128 bits becomes an
/// opaque object.
pub(crate) fn long(bytes: &[u8]) -> Object {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let (low, high) = bytes.split_at(bytes.len().min(16));
    let mut wide = [fill; 16];
    wide[..low.len()].copy_from_slice(low);
    let number = i128::from_le_bytes(wide);
    if high.iter().all(|byte| *byte == fill) && (number < 0) == negative {
        Object::Int(number)
    } else {
        too_large(bytes.len())
    }
}

fn too_large(len: usize) -> Object {
    Object::Opaque(format!("int, of {len} bytes, more than the 16 that are read").into())
}

/// A decimal integer, as in `INT` and `LONG`. `00` and `01` are the bools of protocol 0.
pub(super) fn decimal(line: &[u8], bools: bool) -> Result<Object, Problem> {
    match line {
        b"00" if bools => return Ok(Object::Bool(false)),
        b"01" if bools => return Ok(Object::Bool(true)),
        _ => {}
    }
    let line = line.strip_suffix(b"L").unwrap_or(line);
    let digits = line.strip_prefix(b"-").unwrap_or(line);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Problem::Malformed("an integer that is not decimal"));
    }
    let number = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
    Ok(number.map_or_else(|| too_large(line.len()), Object::Int))
}

/// A decimal float, as in `FLOAT`.
pub(crate) fn float(line: &str) -> Result<Object, Problem> {
    line.parse()
        .map(Object::Float)
        .map_err(|_| Problem::Malformed("a float that is not decimal"))
}

/// A byte string of Python 2: a text if it is UTF-8, and bytes otherwise.
pub(crate) fn string(bytes: &[u8]) -> Object {
    match std::str::from_utf8(bytes) {
        Ok(text) => Object::Text(text.into()),
        Err(_) => Object::Bytes(bytes.into()),
    }
}

/// A quoted string of protocol 0.
pub(crate) fn quoted(line: &[u8]) -> Result<Object, Problem> {
    let ([b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) = line else {
        return Err(Problem::Malformed("a string without quotes"));
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'x') => {
                    let (high, low) = (rest.next().and_then(hex), rest.next().and_then(hex));
                    let digits = high.zip(low).ok_or(Problem::Malformed("an escape that is cut short"))?;
                    digits.0 << 4 | digits.1
                }
                Some(other @ (b'\\' | b'\'' | b'"')) => other,
                _ => return Err(Problem::Malformed("an unknown escape")),
            },
            plain => plain,
        };
        bytes.push(byte);
    }
    Ok(string(&bytes))
}

/// A text with `\uXXXX` and `\UXXXXXXXX` escapes. All other characters are Latin-1.
pub(super) fn raw_unicode(line: &[u8]) -> Result<Object, Problem> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let [first, after @ ..] = rest {
        let digits = match rest {
            [b'\\', b'u', digits @ ..] => digits.get(..4),
            [b'\\', b'U', digits @ ..] => digits.get(..8),
            _ => {
                text.push(char::from(*first));
                rest = after;
                continue;
            }
        };
        let digits = digits.ok_or(Problem::Malformed("an escape that is cut short"))?;
        let code = digits
            .iter()
            .try_fold(0u32, |code, digit| Some(code << 4 | u32::from(hex(*digit)?)));
        let character = code.and_then(char::from_u32);
        text.push(character.ok_or(Problem::Malformed("an escape that is no character"))?);
        rest = &rest[2 + digits.len()..];
    }
    Ok(Object::Text(text.into()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
