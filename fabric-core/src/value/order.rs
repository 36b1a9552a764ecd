//! The order of keys, and of the items of sets.

use std::cmp::Ordering;

use ciborium::Value as Cbor;

/// A total order of keys and of the items of sets, NaN and both zeros included.
pub(super) fn order(a: &Cbor, b: &Cbor) -> Ordering {
    match (a, b) {
        (Cbor::Float(a), Cbor::Float(b)) => a.total_cmp(b),
        (Cbor::Tag(a, inner_a), Cbor::Tag(b, inner_b)) => a.cmp(b).then_with(|| order(inner_a, inner_b)),
        (Cbor::Array(a), Cbor::Array(b)) => {
            let items = a.iter().zip(b).map(|(a, b)| order(a, b));
            items.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
        }
        (Cbor::Map(a), Cbor::Map(b)) => {
            let entries = a.iter().zip(b);
            let entries = entries.map(|((key_a, a), (key_b, b))| order(key_a, key_b).then_with(|| order(a, b)));
            entries
                .fold(Ordering::Equal, Ordering::then)
                .then(a.len().cmp(&b.len()))
        }
        // Of two kinds, or of one kind with a total order.
        _ => a.partial_cmp(b).unwrap_or(Ordering::Equal),
    }
}

/// The value with the entries of all maps in the order of their keys.
pub(super) fn sorted(value: Cbor) -> Cbor {
    match value {
        Cbor::Array(items) => Cbor::Array(items.into_iter().map(sorted).collect()),
        Cbor::Map(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            entries.sort_unstable_by(|(a, _), (b, _)| order(a, b));
            Cbor::Map(entries)
        }
        Cbor::Tag(tag, inner) => Cbor::Tag(tag, Box::new(sorted(*inner))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_values_is_total() {
        let float = |number: f64| Cbor::Float(number);
        let mut values = vec![
            Cbor::Null,
            Cbor::Bool(true),
            Cbor::Integer(3.into()),
            Cbor::Text("a".into()),
        ];
        values.extend([-1.0, 1.0, f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY].map(float));
        let nested = |value: &Cbor| Cbor::Array(vec![value.clone(), Cbor::Null]);
        values.extend(values.clone().iter().map(nested));
        values.extend(
            values
                .clone()
                .into_iter()
                .map(|value| Cbor::Map(vec![(Cbor::Null, value)])),
        );
        for a in &values {
            for b in &values {
                assert_eq!(order(a, b), order(b, a).reverse(), "{a:?} {b:?}");
                for c in &values {
                    let is_chain = order(a, b).is_le() && order(b, c).is_le();
                    assert!(!is_chain || order(a, c).is_le(), "{a:?} {b:?} {c:?}");
                }
            }
        }
        assert!(order(&float(-0.0), &float(0.0)).is_lt());
    }
}
