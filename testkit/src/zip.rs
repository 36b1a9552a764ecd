//! Zip archives as `torch.save` writes them: members are stored, and have checksums.

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

/// A zip archive of stored members below `archive/`.
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    for (name, data) in members {
        let name = format!("archive/{name}");
        let start = bytes.len();
        let crc = u32::try_from(crc_fast::checksum(Crc32IsoHdlc, data)).unwrap();
        let mut shared = vec![0, 0, 0, 8, 0, 0, 0, 0, 0, 0];
        shared.extend(crc.to_le_bytes());
        shared.extend([word(data.len()), word(data.len()), word(name.len())].concat());
        bytes.extend([b"PK\x03\x04", &shared[..], name.as_bytes(), data].concat());
        directory.extend([b"PK\x01\x02\0\0", &shared[..], &[0; 10], &word(start), name.as_bytes()].concat());
    }
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    let end = [
        &[0; 4][..],
        &count,
        &count,
        &word(directory.len()),
        &word(bytes.len()),
        &[0; 2],
    ]
    .concat();
    [&bytes[..], &directory, b"PK\x05\x06", &end].concat()
}
