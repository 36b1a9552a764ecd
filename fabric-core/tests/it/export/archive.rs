//! A zip archive, read from its end, and every field compared with every other.

use std::collections::BTreeMap;

fn number<const N: usize>(bytes: &[u8], at: usize) -> usize {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(&bytes[at..at + N]);
    usize::try_from(u64::from_le_bytes(wide)).unwrap()
}

/// The members below the archive's one folder, each checked against its checksum, headers and alignment.
pub(crate) fn unzip(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let end = bytes.len() - 22;
    assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
    assert_eq!(&bytes[end - 20..end - 16], b"PK\x06\x07");
    let wide = number::<8>(bytes, end - 12);
    assert_eq!((wide, &bytes[wide..wide + 4]), (end - 76, &b"PK\x06\x06"[..]));
    let count = number::<8>(bytes, wide + 32);
    assert_eq!(number::<2>(bytes, end + 10), count.min(0xffff));
    let mut at = number::<8>(bytes, wide + 48);
    assert_eq!(at + number::<8>(bytes, wide + 40), wide);
    let mut members = BTreeMap::new();
    let mut data_end = 0;
    for _ in 0..count {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let (crc, len) = (number::<4>(bytes, at + 16), number::<4>(bytes, at + 20));
        assert_eq!(number::<2>(bytes, at + 10), 0, "stored");
        let name_len = number::<2>(bytes, at + 28);
        let name = &bytes[at + 46..at + 46 + name_len];
        let header = number::<4>(bytes, at + 42);
        assert_eq!(header, data_end, "members follow one another");
        assert_eq!(&bytes[header..header + 4], b"PK\x03\x04");
        assert_eq!(&bytes[header + 30..header + 30 + name_len], name);
        let start = header + 30 + name_len + number::<2>(bytes, header + 28);
        assert_eq!(start % 64, 0);
        let data = &bytes[start..start + len];
        let computed = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, data);
        assert_eq!(u64::try_from(crc).unwrap(), computed);
        data_end = start + len;
        if len > 0 {
            assert_eq!(&bytes[data_end..data_end + 4], b"PK\x07\x08");
            assert_eq!(
                bytes[data_end + 4..data_end + 16],
                [&bytes[at + 16..at + 20], &bytes[at + 20..at + 28]].concat()
            );
            data_end += 16;
        }
        let name = std::str::from_utf8(name).unwrap();
        let (folder, name) = name.split_once('/').unwrap();
        assert_eq!(folder, "archive");
        assert!(members.insert(name.to_owned(), data.to_vec()).is_none());
        at += 46 + name_len + number::<2>(bytes, at + 30);
    }
    assert_eq!(at, wide);
    members
}
