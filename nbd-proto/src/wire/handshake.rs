// SPDX-License-Identifier: BSD-3-Clause
//! Codes and flags of the handshake phase.

code! {
    /// An option, sent by the client (specification, "Option types").
    Opt(u32), "NBD_OPT_" {
        /// Choose an export and begin transmission; cannot be refused but by closing.
        EXPORT_NAME = 1;
        /// End the session politely.
        ABORT = 2;
        /// List the exports.
        LIST = 3;
        /// Withdrawn; never answered with success.
        PEEK_EXPORT = 4;
        /// Upgrade the connection to TLS.
        STARTTLS = 5;
        /// Ask about an export.
        INFO = 6;
        /// Ask about an export and begin transmission.
        GO = 7;
        /// Ask for structured replies.
        STRUCTURED_REPLY = 8;
        /// List the meta contexts of an export.
        LIST_META_CONTEXT = 9;
        /// Select the meta contexts of an export.
        SET_META_CONTEXT = 10;
        /// Ask for extended headers.
        EXTENDED_HEADERS = 11;
    }
}

code! {
    /// The type of a reply to an option (specification, "Option reply types").
    Rep(u32), "NBD_REP_" {
        /// Done, successfully.
        ACK = 1;
        /// One export of a list.
        SERVER = 2;
        /// One piece of information about an export.
        INFO = 3;
        /// One meta context.
        META_CONTEXT = 4;
        /// The server does not know the option.
        ERR_UNSUP = 0x8000_0001;
        /// The server knows the option, but its policy forbids it.
        ERR_POLICY = 0x8000_0002;
        /// The option was malformed, or out of place.
        ERR_INVALID = 0x8000_0003;
        /// The platform or the build of the server cannot do it.
        ERR_PLATFORM = 0x8000_0004;
        /// TLS first.
        ERR_TLS_REQD = 0x8000_0005;
        /// There is no such export.
        ERR_UNKNOWN = 0x8000_0006;
        /// The server is shutting down.
        ERR_SHUTDOWN = 0x8000_0007;
        /// The client must ask for the block sizes first.
        ERR_BLOCK_SIZE_REQD = 0x8000_0008;
        /// The request or its answer is too large.
        ERR_TOO_BIG = 0x8000_0009;
        /// Extended headers first; or they are negotiated already.
        ERR_EXT_HEADER_REQD = 0x8000_000a;
    }
}

impl Rep {
    /// Whether this is an error, known or not.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }
}

code! {
    /// The kind of an `NBD_REP_INFO` (specification, `NBD_REP_INFO`).
    InfoType(u16), "NBD_INFO_" {
        /// Size and transmission flags; always sent.
        EXPORT = 0;
        /// The canonical name.
        NAME = 1;
        /// A text for people.
        DESCRIPTION = 2;
        /// The size constraints.
        BLOCK_SIZE = 3;
    }
}

flags! {
    /// What the server offers first of all (specification, "Handshake flags").
    HandshakeFlags(u16) {
        /// Options other than `NBD_OPT_EXPORT_NAME`, and replies to them.
        FIXED_NEWSTYLE = 0;
        /// The 124 zero bytes after `NBD_OPT_EXPORT_NAME` can be left out.
        NO_ZEROES = 1;
    }
}

flags! {
    /// What the client takes of it (specification, "Client flags").
    ClientFlags(u32) {
        /// The client speaks fixed newstyle.
        FIXED_NEWSTYLE = 0;
        /// Leave the 124 zero bytes out.
        NO_ZEROES = 1;
    }
}
