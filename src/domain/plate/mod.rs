//! Number plates: what a reader saw, what a region allows, what it says, and whether it is one of ours.

pub mod beam;
pub mod calibration;
pub mod confusion;
pub mod decision;
pub mod evaluation;
pub mod evidence;
pub mod grammar;
pub mod known;
pub mod list;
pub mod reading;
pub mod scorer;

/// Ground colour of a plate, by the names of GA 36 where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlateColour {
    /// Small vehicles.
    Blue,
    /// Large vehicles, trailers, learners.
    Yellow,
    /// Small new-energy vehicles.
    Green,
    /// Large new-energy vehicles: yellow left, green right.
    YellowGreen,
    /// Police, armed police.
    White,
    /// Embassies, consulates, Hong Kong and Macau.
    Black,
}

impl PlateColour {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Blue, Self::Yellow, Self::Green, Self::YellowGreen, Self::White, Self::Black];

    /// The word used in files, events and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::YellowGreen => "yellow-green",
            Self::White => "white",
            Self::Black => "black",
        }
    }

    /// From the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|colour| colour.word() == word)
    }
}

/// A plate as it is stored and compared: upper case, no blanks, dots or hyphens.
pub fn normalise(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '·' | '.' | '•' | '_' | '・'))
        .flat_map(|c| {
            match c {
                // Full-width forms of a Chinese keyboard.
                '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
                _ => c,
            }
            .to_uppercase()
        })
        .collect()
}

/// The other way to write a mainland plate whose office is O: GA 36 draws it as a zero, and lists hold both.
pub fn other_spelling(region: &str, plate: &str) -> Option<String> {
    let mut symbols: Vec<char> = plate.chars().collect();
    let office = symbols.get_mut(1).filter(|_| region == "cn")?;
    *office = match *office {
        'O' => '0',
        '0' => 'O',
        _ => return None,
    };
    Some(symbols.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_is_compared_without_its_ornaments() {
        for text in ["皖A·12345", " 皖a 12345", "皖A-123.45", "皖Ａ１２３４５"] {
            assert_eq!(normalise(text), "皖A12345", "{text}");
        }
    }

    #[test]
    fn the_office_o_is_also_written_as_zero() {
        assert_eq!(other_spelling("cn", "粤O12345").as_deref(), Some("粤012345"));
        assert_eq!(other_spelling("cn", "粤012345").as_deref(), Some("粤O12345"));
        assert_eq!(other_spelling("cn", "粤B12345"), None);
        assert_eq!(other_spelling("us", "AO12345"), None);
    }
}
