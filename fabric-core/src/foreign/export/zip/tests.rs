//! Byte-level expectations, computed by hand from APPNOTE.TXT.

use super::*;

fn archive(fill: impl FnOnce(&mut Archive<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sink = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    let mut archive = Archive::new(&mut sink);
    fill(&mut archive);
    let len = archive.finish().unwrap();
    assert_eq!(len, bytes.len() as u64);
    bytes
}

#[test]
fn an_archive_is_what_the_specification_says_byte_for_byte() {
    let bytes = archive(|archive| archive.small_member("a/b", b"123456789").unwrap());
    let mut expected = b"PK\x03\x04\0\0\x08\x08\0\0\0\0\x21\0".to_vec();
    expected.extend([0; 12]);
    expected.extend(b"\x03\0\x1f\0a/bFB\x1b\0");
    expected.extend([b'Z'; 27]);
    assert_eq!(expected.len(), 64);
    // The check value of CRC-32/ISO-HDLC is cbf43926.
    let sums = b"\x26\x39\xf4\xcb\x09\0\0\0\x09\0\0\0";
    expected.extend(b"123456789PK\x07\x08");
    expected.extend(sums);
    let directory = expected.len();
    expected.extend(b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\x21\0");
    expected.extend(sums);
    expected.extend(b"\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a/b");
    let end = expected.len();
    assert_eq!((directory, end), (89, 138));
    expected.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0");
    expected.extend(b"\x31\0\0\0\0\0\0\0\x59\0\0\0\0\0\0\0");
    expected.extend(b"PK\x06\x07\0\0\0\0\x8a\0\0\0\0\0\0\0\x01\0\0\0");
    expected.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x31\0\0\0\x59\0\0\0\0\0");
    assert_eq!(bytes, expected);
}

#[test]
fn data_is_aligned_whatever_the_lengths_before_it() {
    for len in 0..200 {
        let data = vec![7; len];
        let bytes = archive(|archive| {
            archive.small_member("archive/data.pkl", &data).unwrap();
            archive.small_member("archive/data/0", b"here it is").unwrap();
        });
        let at = bytes.windows(10).position(|window| window == b"here it is").unwrap();
        assert_eq!(at % 64, 0, "after {len} bytes");
    }
}

#[test]
fn a_member_without_data_has_no_descriptor() {
    let bytes = archive(|archive| archive.small_member("e", b"").unwrap());
    assert_eq!(&bytes[6..8], &[0x00, 0x08]);
    assert_eq!(&bytes[64..68], b"PK\x01\x02");
}

#[test]
fn sizes_and_places_beyond_32_bits_stand_in_the_wide_fields() {
    let len = LIMIT + 5;
    let header = local_header("n", 0, len);
    assert_eq!(header.len() % 64, 0);
    assert_eq!(&header[18..26], [0xff; 8]);
    assert_eq!(&header[31..35], b"\x01\0\x10\0");
    assert_eq!(header[35..43], len.to_le_bytes());
    assert_eq!(header[43..51], len.to_le_bytes());
    assert_eq!(descriptor(0, len, 1).len(), 24);
    let member = |header, len| Member {
        name: "n".to_owned(),
        header,
        len,
        crc: 1,
    };
    let central = central_header(&member(0, len));
    assert_eq!(&central[20..28], [0xff; 8]);
    assert_eq!(&central[47..51], b"\x01\0\x10\0");

    let far = local_header("n", LIMIT + 1, 3);
    assert_eq!((LIMIT + 1 + far.len() as u64) % 64, 0);
    assert_eq!(&far[18..26], [0; 8]);
    assert_eq!(descriptor(LIMIT + 1, 3, 1).len(), 24);
    let central = central_header(&member(LIMIT + 1, 3));
    assert_eq!(&central[42..46], [0xff; 4]);
    assert_eq!(&central[47..51], b"\x01\0\x08\0");
    assert_eq!(central[51..59], (LIMIT + 1).to_le_bytes());

    let end = end(70_000, LIMIT + 9, 100);
    assert_eq!(end[24..32], 70_000u64.to_le_bytes());
    assert_eq!(end[48..56], (LIMIT + 9).to_le_bytes());
    assert_eq!(&end[84..88], [0xff; 4]);
    assert_eq!(&end[92..96], [0xff; 4]);
}

#[test]
fn large_pieces_and_small_ones_come_out_in_their_order() {
    let large = vec![1; GATHERED + 3];
    let bytes = archive(|archive| {
        let len = 2 * large.len() as u64 + 6;
        archive
            .member("m", len, |put| {
                put(b"abc")?;
                put(&large)?;
                put(b"def")?;
                put(&large)
            })
            .unwrap();
    });
    assert_eq!(&bytes[64..67], b"abc");
    assert_eq!(&bytes[67 + large.len()..70 + large.len()], b"def");
}
