// SPDX-License-Identifier: BSD-3-Clause
//! From an expression to its bytes.

use crate::{
    layout::Layout,
    rope::Rope,
    syntax::{Expression, Item, Operand, Operator, Value},
};
use nbdkit_plugin::{Error, Result};
use std::{collections::HashMap, ffi::OsStr, path::Path};

/// How many items and operators may be gone through: variables that hold variables multiply.
pub(crate) const MOST_STEPS: u32 = 1_000_000;

/// Bytes from elsewhere. `most`: no more of them are wanted, and what is behind them need not be right.
pub(crate) trait Outside {
    fn file(&mut self, path: &Path, most: Option<u64>) -> Result<Rope>;
    fn script(&mut self, script: &OsStr, most: Option<u64>) -> Result<Rope>;
}

/// # Errors
/// When something cannot be read or run, a name is not known, or a slice is not within what it is of.
pub(crate) fn evaluate(expression: &Expression, outside: &mut dyn Outside) -> Result<Rope> {
    Evaluator { outside, steps: 0 }.group(expression, None)
}

struct Evaluator<'a> {
    outside: &'a mut dyn Outside,
    steps: u32,
}

/// The names that a group has given, and those of the groups around it.
struct Scope<'a> {
    names: HashMap<&'a str, Rope>,
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn look_up(&self, name: &str) -> Option<&Rope> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(rope) = here.names.get(name) {
                return Some(rope);
            }
            scope = here.outer;
        }
        None
    }
}

impl Evaluator<'_> {
    fn group(&mut self, expression: &Expression, outer: Option<&Scope>) -> Result<Rope> {
        let mut scope = Scope { names: HashMap::new(), outer };
        let mut layout = Layout::default();
        for item in expression {
            self.step()?;
            match item {
                Item::Offset(offset) => layout.go(*offset)?,
                Item::Operand(operand) => {
                    let rope = self.operand(operand, &scope)?;
                    match &operand.name {
                        Some(name) => drop(scope.names.insert(name, rope)),
                        None => layout.put(rope)?,
                    }
                }
            }
        }
        layout.finish()
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return Err(Error::invalid(format!(
                "data parameter: with all its variables it has more than {MOST_STEPS} items, should be fewer"
            )));
        }
        Ok(())
    }

    fn operand(&mut self, operand: &Operand, scope: &Scope) -> Result<Rope> {
        // What a slice does not want of a file or script is not read.
        let most = match operand.operators[..] {
            [Operator::Slice { end, .. }, ..] => end,
            _ => None,
        };
        let mut rope = self.value(&operand.value, most, scope)?;
        // And there may be less than it wants.
        let mut lenient = matches!(operand.value, Value::File(_) | Value::Script(_));
        for operator in &operand.operators {
            self.step()?;
            rope = match *operator {
                Operator::Repeat(count) => rope.repeat(count)?,
                Operator::Slice { start, end } => slice(&rope, start, end, lenient)?,
            };
            lenient = false;
        }
        Ok(rope)
    }

    fn value(&mut self, value: &Value, most: Option<u64>, scope: &Scope) -> Result<Rope> {
        match value {
            Value::Bytes(bytes) => Ok(Rope::bytes(bytes.clone())),
            Value::File(path) => self.outside.file(path, most),
            Value::Script(script) => self.outside.script(script, most),
            Value::Group(expression) => self.group(expression, Some(scope)),
            Value::Name(name) => scope.look_up(name).cloned().ok_or_else(|| {
                Error::invalid(format!(
                    "data parameter: \\{name} not defined, should be assigned before by -> \\{name}"
                ))
            }),
        }
    }
}

fn slice(rope: &Rope, start: u64, end: Option<u64>, lenient: bool) -> Result<Rope> {
    let len = rope.len();
    let stop = match end {
        Some(end) if lenient => end.min(len),
        Some(end) => end,
        None => len,
    };
    if start <= stop && stop <= len {
        return rope.slice(start, stop);
    }
    let end = end.map(|end| end.to_string()).unwrap_or_default();
    Err(Error::invalid(format!(
        "data parameter: [{start}:{end}] does not describe a valid slice of {len} bytes"
    )))
}
