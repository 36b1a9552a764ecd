//! Checkpoints of more ranks than a process may have files open.

use candle_core::Device;
use fabric_core::Fabric;
use testkit::dcp::Made;
use testkit::limited::Limited;
use testkit::payload::Stored;

const RANKS: usize = 1500;

#[test]
fn a_checkpoint_of_many_ranks_is_read_with_few_files_open() {
    let offsets: Vec<[usize; 2]> = (0..RANKS).map(|rank| [rank, 0]).collect();
    let rows: Vec<(&[usize], Stored)> = offsets
        .iter()
        .map(|offset| (&offset[..], Stored::counting(2 * offset[0], &[1, 2])))
        .collect();
    let mut made = Made::new();
    made.tensor("w", &[RANKS, 2], &rows);
    let limited = Limited::new(made.storage(), 256);
    let fabric = Fabric::builder().storage(limited.clone()).build().unwrap();
    let raw = fabric.open("run").unwrap();
    for _ in 0..2 {
        let tensor = raw.tensor("w", &Device::Cpu).unwrap();
        let expected = Stored::counting(0, &[RANKS, 2]).elements;
        assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected);
    }
    assert!(limited.open_now() > 0, "what is open is counted");
    drop(raw);
    assert_eq!(limited.open_now(), 0);
}
