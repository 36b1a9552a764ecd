//! The opcodes, under their names in Python's `pickletools`.

macro_rules! opcodes {
    ($($name:ident = $byte:literal),* $(,)?) => {
        $(pub(crate) const $name: u8 = $byte;)*

        /// The name of an opcode, for messages.
        pub(crate) fn name(opcode: u8) -> &'static str {
            match opcode {
                $($byte => stringify!($name),)*
                // Opcodes that have a name and are refused: the extension registry, and out-of-band buffers.
                0x82 => "EXT1",
                0x83 => "EXT2",
                0x84 => "EXT4",
                0x97 => "NEXT_BUFFER",
                0x98 => "READONLY_BUFFER",
                _ => "unknown",
            }
        }
    };
}

opcodes! {
    MARK = b'(', STOP = b'.', POP = b'0', POP_MARK = b'1', DUP = b'2',
    // Numbers and constants.
    FLOAT = b'F', INT = b'I', BININT = b'J', BININT1 = b'K', LONG = b'L', BININT2 = b'M', NONE = b'N', BINFLOAT = b'G',
    LONG1 = 0x8a, LONG4 = 0x8b, NEWTRUE = 0x88, NEWFALSE = 0x89,
    // Texts and bytes.
    STRING = b'S', BINSTRING = b'T', SHORT_BINSTRING = b'U', UNICODE = b'V', BINUNICODE = b'X', SHORT_BINUNICODE = 0x8c,
    BINUNICODE8 = 0x8d, BINBYTES = b'B', SHORT_BINBYTES = b'C', BINBYTES8 = 0x8e, BYTEARRAY8 = 0x96,
    // Containers.
    EMPTY_LIST = b']', APPEND = b'a', APPENDS = b'e', LIST = b'l', EMPTY_TUPLE = b')', TUPLE = b't', TUPLE1 = 0x85,
    TUPLE2 = 0x86, TUPLE3 = 0x87, EMPTY_DICT = b'}', DICT = b'd', SETITEM = b's', SETITEMS = b'u', EMPTY_SET = 0x8f,
    ADDITEMS = 0x90, FROZENSET = 0x91,
    // The memo.
    GET = b'g', BINGET = b'h', LONG_BINGET = b'j', PUT = b'p', BINPUT = b'q', LONG_BINPUT = b'r', MEMOIZE = 0x94,
    // Globals and what is made with them.
    GLOBAL = b'c', STACK_GLOBAL = 0x93, REDUCE = b'R', BUILD = b'b', INST = b'i', OBJ = b'o', NEWOBJ = 0x81,
    NEWOBJ_EX = 0x92, PERSID = b'P', BINPERSID = b'Q',
    // The stream.
    PROTO = 0x80, FRAME = 0x95,
}
