// SPDX-License-Identifier: BSD-3-Clause
//! Text as one word of the shell.

/// Bare if it can be; else in double quotes, in which nothing is expanded.
pub(crate) fn quote(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || ".-_=,:/".contains(c);
    if !text.is_empty() && text.chars().all(bare) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '$' | '`' | '\\' | '"') {
            out.push('\\');
        }
        out.push(c);
    }
    out + "\""
}

/// In single quotes.
pub(crate) fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (text, word) in [
            ("", "\"\""),
            ("plain-1.2_x,y:z/w=", "plain-1.2_x,y:z/w="),
            ("it's", "\"it's\""),
            ("a b", "\"a b\""),
            ("a$(date)\"x\\y`z`", "\"a\\$(date)\\\"x\\\\y\\`z\\`\""),
            ("~", "\"~\""),
            ("é", "\"é\""),
        ] {
            assert_eq!(quote(text), word);
        }
        assert_eq!(single("it's"), r"'it'\''s'");
    }

    /// The shell reads back what was quoted.
    #[test]
    fn the_shell_agrees() {
        for text in ["", "'", "\"", "\\", "$HOME `id` $(id) ! * ? ~ # & ; | < >", "a\nb", "\\n", "é\t", "-n"]
        {
            for word in [quote(text), single(text)] {
                let script = format!("word={word}\nprintf %s \"$word\"");
                let output = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
                assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{word}");
            }
        }
    }
}
