// SPDX-License-Identifier: BSD-3-Clause
//! The exportname filter: which exports clients see, may open, and what they are told of them.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod describe;
mod values;

use nbdkit_filter::*;
use values::{Describe, List, Name};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Exportname>("exportname", "changes names, list and descriptions of exports");

params! {
    struct Params {
        /// Which export is meant by the empty name. Without it, the plugin decides.
        "default-export" | "default_export" => default: Name = Name::default(),
        /// Which exports are listed: those of the plugin (`keep`), none because that is an error (`error`), none
        /// (`empty`), the default one (`defaultonly`), or those of `exportname` (`explicit`).
        "exportname-list" | "exportname_list" => list: List = List::Keep,
        /// Whether only those of `exportname` may be opened.
        "exportname-strict" | "exportname_strict" => strict: bool = false,
        /// The name of an export; may be empty.
        "exportname" => names: Vec<Name>,
        /// How exports are described: as the plugin does (`keep`), not at all (`none`), all with the same text
        /// (`fixed:TEXT`), or with what a shell command prints, which finds the name in `$name` (`script:COMMAND`).
        "exportdesc" => describe: Describe = Describe::Keep,
    }
}

/// The filter.
#[derive(Default)]
pub struct Exportname {
    params: Params,
}

impl Filter for Exportname {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn list_exports(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let log = req.log().clone();
        let listed = match self.params.list {
            List::Keep => next.list_exports(req.clone()),
            List::Error => Op::err(Error::new(EPERM, "export list restricted by policy")),
            List::Empty => Op::ok(Some(Vec::new())),
            List::DefaultOnly => Op::ok(None),
            List::Explicit => {
                Op::ok(Some(self.params.names.iter().map(|name| Export::new(&*name.0)).collect()))
            }
        };
        listed.and_then(move |listed| {
            let exports = match listed {
                Some(exports) => Op::ok(exports),
                None => {
                    let default = self.clone().default_export(next, req);
                    default.map(|default| Ok(default.map(Export::new).into_iter().collect()))
                }
            };
            exports
                .and_then(move |exports| self.params.describe.all(exports, log))
                .map(|exports| Ok(Some(exports)))
        })
    }

    fn default_export(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<String>> {
        match &*self.params.default.0 {
            _ if !self.params.allows("") => Op::ok(None),
            "" => next.default_export(req),
            name => Op::ok(Some(name.to_owned())),
        }
    }

    fn open(self: Arc<Self>, next: Next, mut req: OpenRequest) -> Opened {
        if !self.params.allows(&req.export) {
            return Op::err(match &*req.export {
                "" => Error::new(ENOENT, "default export (\"\") not permitted"),
                name => Error::new(
                    ENOENT,
                    format!("export {name:?} not found among those given with exportname="),
                ),
            });
        }
        if req.export.is_empty() {
            req.export = self.params.default.0.as_str().into();
        }
        let log = req.log().clone();
        let name = match self.params.describe {
            // The command is to learn which one that is.
            Describe::Script(_) if req.export.is_empty() => next.default_export(req.clone()),
            _ => Op::ok(Some(req.export.to_string())),
        };
        name.and_then(move |name| {
            next.open(req).and_then(move |next| {
                let description = next.info().description.as_ref().map(|text| text.to_string());
                let export = Export { name: name.unwrap_or_default(), description };
                self.params.describe.all(vec![export], log).map(move |exports| {
                    let description = exports.into_iter().next().and_then(|export| export.description);
                    let info = next.info().with(|info| info.description = description.map(Into::into));
                    Ok(layer(Described { next, info }))
                })
            })
        })
    }
}

impl Params {
    /// May clients open the export called `name`?
    fn allows(&self, name: &str) -> bool {
        !self.strict || self.names.iter().any(|allowed| allowed.0 == name)
    }
}

struct Described {
    next: Arc<dyn Disk>,
    info: Info,
}

impl Layer for Described {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }
}
