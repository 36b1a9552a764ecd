//! Prints elements in nested brackets as they come.

use std::fmt::Write;

/// Turns elements in row-major order into text: a row on a line, brackets around the rows of each dimension.
#[derive(Debug)]
pub(super) struct Nested<'s> {
    shape: &'s [usize],
    /// Each line begins with these spaces.
    indent: usize,
    /// The index of the next element.
    index: Vec<usize>,
}

impl<'s> Nested<'s> {
    pub(super) fn new(shape: &'s [usize], indent: usize) -> Self {
        Self {
            shape,
            indent,
            index: vec![0; shape.len()],
        }
    }

    /// The text of a tensor without elements.
    pub(super) fn empty(shape: &[usize]) -> String {
        match shape.split_first() {
            None | Some((0, _)) => "[]".to_owned(),
            // As long as the shape says, but no longer than a line.
            Some((len, rest)) => {
                let items = vec![Self::empty(rest); (*len).min(8)];
                format!("[{}]", items.join(", "))
            }
        }
    }

    /// Appends the next element and the brackets around it.
    pub(super) fn push(&mut self, element: &str, into: &mut String) {
        let dims = self.index.len();
        let begins = self.index.iter().rev().take_while(|index| **index == 0).count();
        if self.index.iter().any(|index| *index > 0) {
            if begins == 0 {
                into.push_str(", ");
            } else {
                let _ = write!(into, ",\n{:1$}", "", self.indent + dims - begins);
            }
        }
        into.extend(std::iter::repeat_n('[', begins));
        into.push_str(element);
        for (index, len) in self.index.iter_mut().zip(self.shape).rev() {
            *index += 1;
            if *index < *len {
                return;
            }
            *index = 0;
            into.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(shape: &[usize]) -> String {
        let (mut nested, mut text) = (Nested::new(shape, 0), String::new());
        for number in 0..shape.iter().product() {
            nested.push(&number.to_string(), &mut text);
        }
        text
    }

    #[test]
    fn rows_are_lines_and_dimensions_are_brackets() {
        assert_eq!(text(&[]), "0");
        assert_eq!(text(&[3]), "[0, 1, 2]");
        assert_eq!(text(&[2, 2]), "[[0, 1],\n [2, 3]]");
        assert_eq!(text(&[2, 1, 2]), "[[[0, 1]],\n [[2, 3]]]");
        assert_eq!(text(&[1, 2, 2]), "[[[0, 1],\n  [2, 3]]]");
        assert_eq!(text(&[2, 1]), "[[0],\n [1]]");
    }

    #[test]
    fn a_tensor_without_elements_has_brackets() {
        assert_eq!([Nested::empty(&[0]), Nested::empty(&[2, 0])], ["[]", "[[], []]"]);
    }
}
