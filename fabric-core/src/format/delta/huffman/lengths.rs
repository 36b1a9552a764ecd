//! The lengths of codes: a Huffman tree of the numbers of the bytes, with a bound on its depth.

/// The longest code in bits. A decoder looks up a code in a table of 2^11 places, which stays in the nearest cache.
pub(in crate::format::delta) const LONGEST: usize = 11;

/// The places of a decoder's table.
pub(super) const PLACES: usize = 1 << LONGEST;

/// The length in bits of the code of each byte; 0 for a byte that does not occur.
pub(in crate::format::delta) type Lengths = [u8; 256];

/// The numbers of each byte in `symbols`.
pub(in crate::format::delta) fn counts(symbols: &[u8]) -> [u32; 256] {
    // Two counts of one byte in a row wait for each other, so neighbours count in different tables.
    let mut tables = [[0u32; 256]; 4];
    let (fours, rest) = symbols.as_chunks::<4>();
    for four in fours {
        for (table, &symbol) in tables.iter_mut().zip(four) {
            table[usize::from(symbol)] += 1;
        }
    }
    for &symbol in rest {
        tables[0][usize::from(symbol)] += 1;
    }
    std::array::from_fn(|symbol| tables.iter().map(|table| table[symbol]).sum())
}

/// The lengths of the codes for bytes with these numbers. At least two bytes occur.
pub(in crate::format::delta) fn lengths(counts: &[u32; 256]) -> Lengths {
    let mut symbols: Vec<(u32, u8)> = (0..=u8::MAX)
        .map(|symbol| (counts[usize::from(symbol)], symbol))
        .filter(|(count, _)| *count > 0)
        .collect();
    symbols.sort_unstable();
    let mut depths = depths(&symbols);
    limit(&mut depths);
    let mut lengths = [0; 256];
    for ((_, symbol), depth) in symbols.iter().zip(depths) {
        lengths[usize::from(*symbol)] = depth;
    }
    lengths
}

/// The depths of the leaves of a Huffman tree, for symbols in the order of their numbers.
fn depths(symbols: &[(u32, u8)]) -> Vec<u8> {
    let leaves = symbols.len();
    let mut weights: Vec<u64> = symbols.iter().map(|(count, _)| u64::from(*count)).collect();
    let mut parents = vec![0; 2 * leaves - 1];
    // Inner nodes are made in the order of their weights, so the lightest node is the first of one of two queues.
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..2 * leaves - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let is_leaf = leaf < leaves && (inner == node || weights[leaf] <= weights[inner]);
            let next = if is_leaf { &mut leaf } else { &mut inner };
            weight += weights[*next];
            parents[*next] = node;
            *next += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0u8; 2 * leaves - 1];
    for node in (0..2 * leaves - 2).rev() {
        // A depth of n needs as many leaves as Fibonacci's n-th number, so 32-bit numbers give at most 47.
        depths[node] = depths[parents[node]] + 1;
    }
    depths.truncate(leaves);
    depths
}

/// Shortens codes to [`LONGEST`] bits. Others become longer in exchange, the rarest first, and then shorter where there is
/// room, the most frequent first, so that the codes take every place of a decoder's table.
fn limit(depths: &mut [u8]) {
    let most = u8::try_from(LONGEST).unwrap_or(u8::MAX);
    for depth in &mut *depths {
        *depth = most.min(*depth);
    }
    let mut taken: usize = depths.iter().map(|depth| share(*depth)).sum();
    for depth in &mut *depths {
        while taken > PLACES && *depth < most {
            taken -= share(*depth) / 2;
            *depth += 1;
        }
    }
    for depth in depths.iter_mut().rev() {
        while taken + share(*depth) <= PLACES {
            taken += share(*depth);
            *depth -= 1;
        }
    }
}

/// The places of a decoder's table that a code of this length takes.
pub(super) fn share(length: u8) -> usize {
    PLACES >> length
}

/// The number of bits that symbols with these numbers take.
pub(in crate::format::delta) fn bits(counts: &[u32; 256], lengths: &Lengths) -> u64 {
    let each = counts.iter().zip(lengths);
    each.map(|(count, length)| u64::from(*count) * u64::from(*length)).sum()
}
