// SPDX-License-Identifier: BSD-3-Clause
//! Codes and flags of the transmission phase.

flags! {
    /// What an export can do (specification, "Transmission flags").
    TransmissionFlags(u16) {
        /// Always set.
        HAS_FLAGS = 0;
        /// Writing requests fail.
        READ_ONLY = 1;
        /// `NBD_CMD_FLUSH` works.
        SEND_FLUSH = 2;
        /// `NBD_CMD_FLAG_FUA` works.
        SEND_FUA = 3;
        /// The medium rotates: schedule accordingly.
        ROTATIONAL = 4;
        /// `NBD_CMD_TRIM` works.
        SEND_TRIM = 5;
        /// `NBD_CMD_WRITE_ZEROES` works.
        SEND_WRITE_ZEROES = 6;
        /// `NBD_CMD_FLAG_DF` works: set if and only if replies come in chunks.
        SEND_DF = 7;
        /// A flush on one connection covers all.
        CAN_MULTI_CONN = 8;
        /// `NBD_CMD_RESIZE`, an experiment; never set here.
        SEND_RESIZE = 9;
        /// `NBD_CMD_CACHE` works.
        SEND_CACHE = 10;
        /// `NBD_CMD_FLAG_FAST_ZERO` works.
        SEND_FAST_ZERO = 11;
        /// `NBD_CMD_BLOCK_STATUS` may name the contexts wanted (`EXTENDED_HEADERS` extension).
        BLOCK_STATUS_PAYLOAD = 12;
    }
}

flags! {
    /// How a request is meant (specification, "Command flags").
    CommandFlags(u16) {
        /// Reply only once the data is on permanent storage.
        FUA = 0;
        /// Write zeroes, but do not make a hole.
        NO_HOLE = 1;
        /// Answer a read with a single content chunk.
        DF = 2;
        /// Answer a block status with a single extent.
        REQ_ONE = 3;
        /// Write zeroes only if that is faster than writing data.
        FAST_ZERO = 4;
        /// The length is that of a payload (`EXTENDED_HEADERS` extension).
        PAYLOAD_LEN = 5;
    }
}

flags! {
    /// Flags of a reply chunk (specification, "Structured reply flags").
    ReplyFlags(u16) {
        /// The last chunk of a reply.
        DONE = 0;
    }
}

flags! {
    /// Status flags of `base:allocation` (specification, "`base:allocation` metadata context").
    StateFlags(u32) {
        /// Not allocated.
        HOLE = 0;
        /// Reads as zeroes.
        ZERO = 1;
    }
}

code! {
    /// A command as it is on the wire, known or not (specification, "Request types").
    Cmd(u16), "NBD_CMD_" {
        /// Read bytes.
        READ = 0;
        /// Write the bytes that follow.
        WRITE = 1;
        /// Disconnect; has no reply.
        DISC = 2;
        /// Bring completed writes to permanent storage.
        FLUSH = 3;
        /// These bytes are no longer needed.
        TRIM = 4;
        /// These bytes will be needed soon.
        CACHE = 5;
        /// Write zeroes.
        WRITE_ZEROES = 6;
        /// Tell the extents of a range.
        BLOCK_STATUS = 7;
        /// An experiment; not supported.
        RESIZE = 8;
    }
}

code! {
    /// What a reply chunk holds (specification, "Structured reply types").
    ChunkType(u16), "NBD_REPLY_TYPE_" {
        /// Nothing: ends a reply.
        NONE = 0;
        /// Data at an offset.
        OFFSET_DATA = 1;
        /// Zeroes at an offset.
        OFFSET_HOLE = 2;
        /// Extents with 32-bit lengths.
        BLOCK_STATUS = 5;
        /// Extents with 64-bit lengths (`EXTENDED_HEADERS` extension).
        BLOCK_STATUS_EXT = 6;
        /// An error.
        ERROR = 0x8001;
        /// An error at an offset.
        ERROR_OFFSET = 0x8002;
    }
}

impl ChunkType {
    /// Whether this is an error, known or not.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & 0x8000 != 0
    }
}

code! {
    /// An error as the protocol knows them (specification, "Error values").
    ErrorCode(u32), "NBD_" {
        /// No error.
        SUCCESS = 0;
        /// Not permitted: the export is read-only, for instance.
        EPERM = 1;
        /// Input or output failed.
        EIO = 5;
        /// Out of memory; or the request is larger than the server takes.
        ENOMEM = 12;
        /// The request makes no sense.
        EINVAL = 22;
        /// No space left; or past the end of the export.
        ENOSPC = 28;
        /// Too large: a read that may not be fragmented, for instance.
        EOVERFLOW = 75;
        /// Not supported: only for a fast zero that would be slow.
        ENOTSUP = 95;
        /// The server is shutting down.
        ESHUTDOWN = 108;
    }
}
