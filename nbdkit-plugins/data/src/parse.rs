// SPDX-License-Identifier: BSD-3-Clause
//! The grammar, by recursive descent.

use crate::{
    syntax::{Expression, Item, Offset, Operand, Operator, Value, group, joined},
    text::{MOST, Text, is_blank},
};
use nbdkit_plugin::{Error, Result};
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
    rc::Rc,
};

/// How deep parentheses and variables may be nested. It bounds the stack, here and in all that walks expressions.
pub(crate) const DEEPEST: usize = 250;

/// Where `$VAR` finds its text.
pub(crate) type Variables<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// # Errors
/// Where in which text is what that should not be there.
pub(crate) fn parse(text: &[u8], variables: &Variables) -> Result<Expression> {
    let mut known = HashMap::new();
    let text = Text::new("data parameter", text);
    Parser { text, variables, known: &mut known, depth: 0, deepest: 0 }.expression(false)
}

struct Parser<'a> {
    text: Text<'a>,
    variables: &'a Variables<'a>,
    /// Variables are parsed once; `None` while that is going on.
    known: &'a mut HashMap<String, Option<Known>>,
    /// Parentheses and variables that are open.
    depth: usize,
    /// How many of them were.
    deepest: usize,
}

/// A variable.
#[derive(Clone)]
struct Known {
    expression: Rc<Expression>,
    /// How deep it is nested.
    height: usize,
}

impl<'a> Parser<'a> {
    /// To the closing parenthesis, which it goes past, or to the end.
    fn expression(&mut self, closed: bool) -> Result<Expression> {
        let start = self.text.at();
        let mut items = Vec::new();
        loop {
            self.text.skip_blanks();
            match self.text.rest() {
                [] if closed => {
                    return self.text.error_at(start.saturating_sub(1), "unmatched '(' in data string");
                }
                [] => return Ok(joined(items)),
                [b')', ..] if closed => {
                    self.text.eat(b")");
                    return Ok(joined(items));
                }
                [b')', ..] => return self.text.error("unmatched ')' in data string"),
                [b'@', ..] => items.push(Item::Offset(self.offset()?)),
                [b'*', ..] => {
                    let operand = self.operand(&mut items, "*N")?;
                    self.text.eat(b"*");
                    self.text.skip_blanks();
                    operand.operators.push(Operator::Repeat(self.text.number(MOST, "the N of *N")?));
                }
                [b'[', ..] => {
                    let operand = self.operand(&mut items, "[N:M]")?;
                    operand.operators.push(self.slice()?);
                }
                [b'-', b'>', ..] => {
                    let operand = self.operand(&mut items, "->")?;
                    self.text.eat(b"->");
                    self.text.skip_blanks();
                    operand.name = Some(self.name()?.to_owned());
                }
                _ => items.push(Item::Operand(Operand::new(self.value()?))),
            }
        }
    }

    /// What an operator works on.
    fn operand<'i>(&self, items: &'i mut [Item], operator: &str) -> Result<&'i mut Operand> {
        match items.last_mut() {
            Some(Item::Operand(operand)) if operand.name.is_none() => Ok(operand),
            Some(Item::Operand(_)) => self
                .text
                .error(&format!("{operator} cannot be applied to an assignment, put it before the ->")),
            Some(Item::Offset(_)) => self.text.error(&format!("{operator} cannot be applied to an @OFFSET")),
            None => self.text.error(&format!("{operator} must follow an expression")),
        }
    }

    fn offset(&mut self) -> Result<Offset> {
        self.text.eat(b"@");
        if self.text.eat(b"+") {
            return Ok(Offset::Forward(self.text.size("the N of @+N")?));
        }
        if self.text.eat(b"-") {
            return Ok(Offset::Back(self.text.size("the N of @-N")?));
        }
        if self.text.eat(b"^") {
            let at = self.text.at();
            return match self.text.size("the N of @^N")? {
                n if n.is_power_of_two() => Ok(Offset::Align(n)),
                n => self.text.error_at(at, &format!("@^{n} must be a power of 2")),
            };
        }
        Ok(Offset::To(self.text.size("the N of @N")?))
    }

    fn slice(&mut self) -> Result<Operator> {
        let at = self.text.at();
        self.text.eat(b"[");
        self.text.skip_blanks();
        let start = match self.text.peek() {
            Some(b':') => 0,
            _ => self.text.number(MOST, "the N of [N:M]")?,
        };
        self.text.skip_blanks();
        if !self.text.eat(b":") {
            return self.text.error("expected the ':' of [N:M]");
        }
        self.text.skip_blanks();
        let end = match self.text.peek() {
            Some(b']') => None,
            _ => Some(self.text.number(MOST, "the M of [N:M]")?),
        };
        self.text.skip_blanks();
        if !self.text.eat(b"]") {
            return self.text.error("expected the ']' of [N:M]");
        }
        match end {
            Some(end) if end < start => {
                let why =
                    format!("[{start}:{end}] does not describe a valid slice: its end is before its start");
                self.text.error_at(at, &why)
            }
            _ => Ok(Operator::Slice { start, end }),
        }
    }

    fn value(&mut self) -> Result<Value> {
        let bytes = |bytes: &[u8]| Ok(Value::Bytes(bytes.into()));
        match self.text.rest() {
            [b'0'..=b'9', ..] => bytes(&[self.text.number(255, "BYTE")? as u8]),
            [b'"', ..] => bytes(&self.text.string()?),
            [b'(', ..] => {
                self.text.eat(b"(");
                self.enter(1)?;
                let inner = self.expression(true)?;
                self.depth -= 1;
                Ok(group(&Rc::new(inner)))
            }
            [b'<', b'(', ..] => self.script(),
            [b'<', ..] => self.file(),
            [b'\\', ..] => Ok(Value::Name(self.name()?.into())),
            [b'$', ..] => self.variable(),
            [b'b', b'a', ..] if self.text.eat(b"base64:") => self.base64(),
            _ => self.integer(),
        }
    }

    /// Goes down by `levels`.
    fn enter(&mut self, levels: usize) -> Result<()> {
        self.depth += levels;
        self.deepest = self.deepest.max(self.depth);
        match self.depth {
            ..=DEEPEST => Ok(()),
            _ => self.text.error(&format!("expressions must be nested at most {DEEPEST} deep")),
        }
    }

    /// `le16:N` and its like.
    fn integer(&mut self) -> Result<Value> {
        for (word, len, little) in [
            ("le16:", 2, true),
            ("le32:", 4, true),
            ("le64:", 8, true),
            ("be16:", 2, false),
            ("be32:", 4, false),
            ("be64:", 8, false),
        ] {
            if self.text.eat(word.as_bytes()) {
                let number = self.text.number(u64::MAX >> (64 - 8 * len), &format!("the N of {word}N"))?;
                let bytes = number.to_le_bytes();
                let bytes = bytes.iter().take(len).copied();
                return Ok(Value::Bytes(if little { bytes.collect() } else { bytes.rev().collect() }));
            }
        }
        self.text.error(
            "expected a byte, \"string\", le16: le32: le64: be16: be32: be64: base64:, @OFFSET, (...), <FILE, <(SCRIPT), $VAR or \\NAME",
        )
    }

    fn base64(&mut self) -> Result<Value> {
        let start = self.text.at();
        let text = self.text.take(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        match nbdkit_base64::decode(text) {
            Some(bytes) => Ok(Value::Bytes(bytes.into())),
            None => self.text.error_at(start, "base64: must be followed by base64 text, padded with ="),
        }
    }

    fn file(&mut self) -> Result<Value> {
        self.text.eat(b"<");
        let name = self.text.take(|byte| !is_blank(byte) && !b"*[)".contains(&byte));
        if name.is_empty() {
            return self.text.error("<FILE must be followed by the name of a file");
        }
        Ok(Value::File(Rc::new(Path::new(OsStr::from_bytes(name)).to_owned())))
    }

    /// Up to the parenthesis that closes it. What the shell makes of quotes is not looked at.
    fn script(&mut self) -> Result<Value> {
        let rest = self.text.rest();
        let mut open = 0_usize;
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'(' => open += 1,
                b')' => open -= 1,
                _ => continue,
            }
            // The first byte that counts opens one, so that it is never closed before.
            if open == 0 {
                self.text.eat(&rest[..=at]);
                return Ok(Value::Script(Rc::new(OsStr::from_bytes(&rest[2..at]).to_owned())));
            }
        }
        self.text.error("unmatched '(' of <(SCRIPT)")
    }

    fn variable(&mut self) -> Result<Value> {
        let start = self.text.at();
        self.text.eat(b"$");
        if !self.text.peek().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
            return self.text.error("$ must be followed by the name of a variable");
        }
        let name = self.text.take(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let name = String::from_utf8_lossy(name);
        let known = match self.known.get(&*name) {
            Some(Some(known)) => known.clone(),
            Some(None) => return self.text.error_at(start, &format!("${name} contains itself")),
            None => {
                self.known.insert(name.clone().into_owned(), None);
                let known = self.parse_variable(&name)?;
                self.known.insert(name.into_owned(), Some(known.clone()));
                known
            }
        };
        // As deep as where it was seen first, it may be too deep here.
        self.enter(known.height)?;
        self.depth -= known.height;
        Ok(group(&known.expression))
    }

    fn parse_variable(&mut self, name: &str) -> Result<Known> {
        let Some(text) = (self.variables)(name) else {
            return Err(Error::invalid(format!(
                "${name}: variable not found, should be a parameter {name}=... or in the environment"
            )));
        };
        self.enter(1)?;
        let title = format!("${name}");
        let mut parser = Parser {
            text: Text::new(&title, text.as_bytes()),
            variables: self.variables,
            known: self.known,
            depth: self.depth,
            deepest: self.depth,
        };
        let expression = Rc::new(parser.expression(false)?);
        let deepest = parser.deepest;
        self.depth -= 1;
        Ok(Known { expression, height: deepest - self.depth })
    }

    /// `\NAME`. A dash that begins an arrow ends it.
    fn name(&mut self) -> Result<&'a str> {
        if !self.text.eat(b"\\") {
            return self.text.error("expected a \\NAME");
        }
        let rest = self.text.rest();
        let ends = |at: &usize| match rest[*at..] {
            [b'-', b'>', ..] => true,
            [byte, ..] => !(byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
            [] => true,
        };
        let len = (0..rest.len()).find(ends).unwrap_or(rest.len());
        match std::str::from_utf8(&rest[..len]) {
            Ok(name) if len > 0 => {
                self.text.eat(name.as_bytes());
                Ok(name)
            }
            _ => self.text.error("expected a name of letters, digits, _ and - after \\"),
        }
    }
}
