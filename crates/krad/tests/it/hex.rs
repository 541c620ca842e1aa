//! Hexadecimal, as vectors are written. Blanks are ignored.

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("a hexadecimal digit")).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub fn authenticator(text: &str) -> krad::RequestAuthenticator {
    <[u8; 16]>::try_from(hex(text)).expect("16 octets").into()
}
