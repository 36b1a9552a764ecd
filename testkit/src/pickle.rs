//! Writes pickles of protocol 4, as Python's own pickler would without its memo.

/// An object, pickled.
pub type Bytes = Vec<u8>;

/// A whole pickle.
pub fn pickle(object: &[u8]) -> Bytes {
    [b"\x80\x04", object, b"."].concat()
}

pub fn text(text: &str) -> Bytes {
    let len = u32::try_from(text.len()).unwrap();
    [b"X", &len.to_le_bytes()[..], text.as_bytes()].concat()
}

pub fn int(number: i128) -> Bytes {
    match u8::try_from(number) {
        Ok(small) => vec![b'K', small],
        Err(_) => [b"\x8a\x10", &number.to_le_bytes()[..]].concat(),
    }
}

pub fn float(number: f64) -> Bytes {
    [b"G", &number.to_be_bytes()[..]].concat()
}

pub fn none() -> Bytes {
    b"N".to_vec()
}

pub fn tuple(items: &[Bytes]) -> Bytes {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub fn list(items: &[Bytes]) -> Bytes {
    [b"](", &items.concat()[..], b"e"].concat()
}

pub fn dict(entries: &[(Bytes, Bytes)]) -> Bytes {
    let entries: Vec<u8> = entries
        .iter()
        .flat_map(|(key, value)| [&key[..], value].concat())
        .collect();
    [b"}(", &entries[..], b"u"].concat()
}

/// A class or function.
pub fn global(module: &str, name: &str) -> Bytes {
    [&text(module)[..], &text(name), b"\x93"].concat()
}

pub fn call(function: &[u8], arguments: &[Bytes]) -> Bytes {
    [function, &tuple(arguments), b"R"].concat()
}

/// An object with attributes, or none at all.
pub fn instance(class: &[u8], state: Option<&[u8]>) -> Bytes {
    match state {
        Some(state) => [class, b")\x81", state, b"b"].concat(),
        None => [class, b")\x81"].concat(),
    }
}

pub fn attributes(attributes: &[(&str, Bytes)]) -> Bytes {
    let entries: Vec<_> = attributes
        .iter()
        .map(|(name, value)| (text(name), value.clone()))
        .collect();
    dict(&entries)
}

pub fn persistent(id: &[u8]) -> Bytes {
    [id, b"Q"].concat()
}
