// SPDX-License-Identifier: BSD-3-Clause
//! [`Expression`]: what the parser makes of a text, before anything is read, run or computed.

use std::{ffi::OsString, path::PathBuf, rc::Rc};

/// What stands in a text, a variable or between parentheses.
pub(crate) type Expression = Vec<Item>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Offset(Offset),
    Operand(Operand),
}

/// Where the next bytes go, counted from the start of the group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Offset {
    /// `@N`
    To(u64),
    /// `@+N`
    Forward(u64),
    /// `@-N`
    Back(u64),
    /// `@^N`, a power of two.
    Align(u64),
}

/// Something that has bytes, and what is done to them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(crate) value: Value,
    /// In this order.
    pub(crate) operators: Vec<Operator>,
    /// `-> \NAME`: the bytes go to the name and not to the disk.
    pub(crate) name: Option<String>,
}

/// Cheap to clone: a variable that holds a single value stands for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bytes(Rc<[u8]>),
    /// `<FILE`
    File(Rc<PathBuf>),
    /// `<(SCRIPT)`
    Script(Rc<OsString>),
    /// `(...)` or `$VAR`
    Group(Rc<Expression>),
    /// `\NAME`
    Name(Rc<str>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operator {
    /// `*N`
    Repeat(u64),
    /// `[start:end]`; without an end, to the end.
    Slice { start: u64, end: Option<u64> },
}

impl Operand {
    pub(crate) fn new(value: Value) -> Operand {
        Operand { value, operators: Vec::new(), name: None }
    }

    /// Nothing is done to it.
    pub(crate) fn is_plain(&self) -> bool {
        self.operators.is_empty() && self.name.is_none()
    }
}

/// An expression in parentheses. One that is a single value is that value, so that `(<(yes))[:5]` too reads no more
/// than five bytes.
pub(crate) fn group(expression: &Rc<Expression>) -> Value {
    match &expression[..] {
        [Item::Operand(operand)] if operand.is_plain() => operand.value.clone(),
        _ => Value::Group(expression.clone()),
    }
}

/// The most bytes that are put together: of variables that hold variables, there may be very many.
const LITERAL: usize = 4096;

/// The same with literals that follow one another put together.
pub(crate) fn joined(items: Vec<Item>) -> Expression {
    let mut out: Expression = Vec::with_capacity(items.len());
    let mut bytes: Vec<u8> = Vec::new();
    for item in items {
        if let Item::Operand(operand) = &item
            && operand.is_plain()
            && let Value::Bytes(more) = &operand.value
        {
            if bytes.len() + more.len() > LITERAL {
                flush(&mut bytes, &mut out);
            }
            bytes.extend_from_slice(more);
            continue;
        }
        flush(&mut bytes, &mut out);
        out.push(item);
    }
    flush(&mut bytes, &mut out);
    out
}

fn flush(bytes: &mut Vec<u8>, out: &mut Expression) {
    if !bytes.is_empty() {
        out.push(Item::Operand(Operand::new(Value::Bytes(std::mem::take(bytes).into()))));
    }
}
