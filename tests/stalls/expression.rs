//! Random expressions: every operator and every function, on integers of all sizes, floats, tuples
//! and strings.

use socklab::random::Random;

/// Forms of an expression; each `#` is an operand.
const FORMS: &[&str] = &[
    // Operators.
    "#+#",
    "#-#",
    "#*#",
    "#/#",
    "#//#",
    "#%#",
    "#**#",
    "#<<#",
    "#>>#",
    "#&#",
    "#|#",
    "#^#",
    "#@#",
    "-#",
    "+#",
    "~#",
    "not #",
    "# and #",
    "# or #",
    "# if # else #",
    // Comparisons.
    "#<#",
    "#<=#",
    "#==#",
    "#!=#",
    "#<#<#",
    "#==#==#==#",
    "# in #",
    "# not in #",
    "# is #",
    "# is not #",
    // Functions.
    "abs(#)",
    "bin(#)",
    "bool(#)",
    "complex(#)",
    "complex(#,#)",
    "divmod(#,#)",
    "float(#)",
    "hex(#)",
    "int(#)",
    "int(#,#)",
    "len(#)",
    "max(#)",
    "max(#,#)",
    "min(#)",
    "min(#,#,#)",
    "oct(#)",
    "pow(#,#)",
    "pow(#,#,#)",
    "pow(#,-1,#)",
    "round(#)",
    "round(#,#)",
    "sum(#)",
    "sum(#,#)",
    // Tuples and strings.
    "(#,)",
    "(#,#)",
    "(#,#,#,#)",
    "((#,),)",
    "(#,)*#",
    "(#,)*9999",
    "(#,)*4000",
    "(#,)*99",
    "(#,#)*4999",
    "((#,)*99,)*99",
    "(((#,),),)*2499",
    "hex(#)*#",
    "hex(#)*9",
    "bin(#)*99",
    "(bin(#),)*999",
    "(hex(1)*21845,)*#",
    // Errors.
    "#(#)",
    "#[#]",
    "abs(x=#)",
    "(# #)",
];

/// Messages to the service of four operations.
const TWO_NUMBERS: &[&str] =
    &["#,#", "# #", "add # #", "subtract # #", "multiply # #", "divide # #", "x # #"];

/// Shapes of its numbers: `N` are digits, `Z` are zeros.
const NUMBERS: &[&str] =
    &["1N", "-1Z", "1Z.5", "0.ZN", "0ZN.NeZ9", "1e308", "5e-324", "1e", "-", "7"];

/// Literals and other short operands.
const WORDS: &[&str] = &[
    "0",
    "1",
    "(-1)",
    "2",
    "3",
    "7",
    "8",
    "10",
    "16",
    "36",
    "(-9)",
    "63",
    "64",
    "99",
    "300",
    "323",
    "(-300)",
    "9999",
    "4999",
    ".1",
    "1.",
    "1e16",
    "1e308",
    "5e-324",
    "-0.0",
    "123456.789",
    "1e-300",
    "1.7976931348623157e308",
    "2.2250738585072014e-308",
    "1e400",
    "(1e400-1e400)",
    "1j",
    "1e300j",
    "(.1+1e-9j)",
    "True",
    "None",
    "()",
    "...",
    "int",
    "x",
    "é",
    "ﬀﬀﬀ",
    "x.y",
    "'a'",
    "9223372036854775807",
    "(-9223372036854775808)",
    "0xffffffffffffffffffffffff",
    "\t",
    "[",
    "0x",
    "1_0",
    "#",
    "0777",
    "$",
    "½",
    "lambda:1",
];

/// Shapes of a large integer of `N` bits or, in the last three, digits.
const INTEGERS: &[&str] = &[
    "(1<<N)",
    "(9<<N)",
    "((1<<N)-1)",
    "(-(1<<N))",
    "(1-(1<<N))",
    "((1<<N)//3)",
    "(10**D)",
    "(10**D-1)",
    "(7**D)",
];

/// Pieces that make a long operand when they are repeated.
const PIECES: &[&str] = &[
    "9",
    "1+",
    "1*",
    "1//1%",
    "0x9",
    "9_9",
    "1.",
    ".1",
    "x",
    "é",
    "ﬀ",
    "\u{345}",
    "𝐢",
    "한",
    "-",
    "~",
    "(",
    "1,",
    "()",
    "'",
    "#",
    " ",
    "\\\n",
    "not ",
    "1<",
    "1 if 1 else ",
    "1or ",
    "[",
    "((),)",
];

/// Bytes of an atom that alone decides about the time.
const LONG: usize = 100;

/// The largest exponent in [`INTEGERS`].
const MOST_BITS: u32 = 262_143;

/// An expression.
#[derive(Clone)]
pub(crate) enum Expression {
    /// A text without operands.
    Atom(String),
    /// One of [`FORMS`], and an operand for each of its marks.
    Form(&'static str, Vec<Expression>),
}

impl Expression {
    /// A form, by its place in the list modulo its length, with random operands.
    pub(crate) fn of_form(place: usize, depth: u32, random: &mut Random) -> Self {
        let form = FORMS[place % FORMS.len()];
        let operands = (0..arity(form)).map(|_| Self::any(depth, random)).collect();
        Self::Form(form, operands)
    }

    /// A message to the service of four operations.
    pub(crate) fn of_two_numbers(random: &mut Random) -> Self {
        let form = TWO_NUMBERS[pick(TWO_NUMBERS.len(), random)];
        let operands = (0..2).map(|_| {
            let digits = NUMBERS[pick(NUMBERS.len(), random)];
            let length = pick(4_400, random) >> random.below(12);
            Self::Atom(digits.replace('N', &"9".repeat(length)).replace('Z', &"0".repeat(length)))
        });
        Self::Form(form, operands.collect())
    }

    /// Any expression of at most this depth.
    pub(crate) fn any(depth: u32, random: &mut Random) -> Self {
        if depth == 0 || random.below(3) == 0 {
            return atom(random);
        }
        Self::of_form(pick(FORMS.len(), random), depth - 1, random)
    }

    /// Writes the expression. Operands that are forms get brackets.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Self::Atom(text) => out.push_str(text),
            Self::Form(form, operands) => {
                let mut pieces = form.split('#');
                out.push_str(pieces.next().unwrap_or_default());
                for (operand, piece) in operands.iter().zip(pieces) {
                    let brackets = matches!(operand, Self::Form(..));
                    out.push_str(if brackets { "(" } else { "" });
                    operand.write(out);
                    out.push_str(if brackets { ")" } else { "" });
                    out.push_str(piece);
                }
            }
        }
    }

    /// The kind of expression: the start of its long atom, or the forms in it.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Atom(text) if text.len() > LONG => text.chars().take(3).collect(),
            Self::Atom(_) => String::new(),
            Self::Form(form, operands) => {
                let kinds: Vec<_> = operands.iter().map(Self::kind).collect();
                let long = operands.iter().zip(&kinds).find(|(operand, _)| operand.is_long());
                long.map_or_else(|| (*form).to_owned() + &kinds.concat(), |(_, kind)| kind.clone())
            }
        }
    }

    /// Returns true if an atom in it is long.
    fn is_long(&self) -> bool {
        match self {
            Self::Atom(text) => text.len() > LONG,
            Self::Form(_, operands) => operands.iter().any(Self::is_long),
        }
    }

    /// Another expression that differs from this one in one place.
    pub(crate) fn changed(&self, random: &mut Random) -> Self {
        let mut changed = self.clone();
        let nodes = changed.nodes();
        changed.change(&mut pick(nodes, random), random);
        changed
    }

    /// Simpler expressions: in place of each form in it, one of its operands or 1.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        let Self::Form(form, operands) = self else { return Vec::new() };
        let mut simpler = operands.clone();
        simpler.push(Self::Atom("1".to_owned()));
        for (place, operand) in operands.iter().enumerate() {
            simpler.extend(operand.simpler().into_iter().map(|operand| {
                let mut operands = operands.clone();
                operands[place] = operand;
                Self::Form(form, operands)
            }));
        }
        simpler
    }

    fn nodes(&self) -> usize {
        match self {
            Self::Atom(_) => 1,
            Self::Form(_, operands) => 1 + operands.iter().map(Self::nodes).sum::<usize>(),
        }
    }

    /// Changes the node that `skip` nodes come before. Returns true if it was found.
    fn change(&mut self, skip: &mut usize, random: &mut Random) -> bool {
        if *skip > 0 {
            *skip -= 1;
            return match self {
                Self::Atom(_) => false,
                Self::Form(_, operands) => {
                    operands.iter_mut().any(|operand| operand.change(skip, random))
                }
            };
        }
        let before = self.clone();
        *self = match (random.below(6), before) {
            (0, before) => {
                let mut outer = Self::of_form(pick(FORMS.len(), random), 0, random);
                if let Self::Form(_, operands) = &mut outer {
                    let place = pick(operands.len(), random);
                    operands[place] = before;
                }
                outer
            }
            (1, Self::Form(_, operands)) => operands[pick(operands.len(), random)].clone(),
            (2 | 3, Self::Form(form, operands)) => {
                let same = |other: &&&'static str| arity(other) == arity(form);
                let others: Vec<_> = FORMS.iter().filter(same).collect();
                Self::Form(others[pick(others.len(), random)], operands)
            }
            (4, _) => Self::any(1, random),
            _ => atom(random),
        };
        true
    }
}

/// Number of operands of a form.
fn arity(form: &str) -> usize {
    form.matches('#').count()
}

fn atom(random: &mut Random) -> Expression {
    // As many small numbers as large ones, by their order of magnitude.
    let magnitude = random.below(18);
    let bits = 1 + random.below(MOST_BITS >> magnitude);
    Expression::Atom(match random.below(16) {
        0 => PIECES[pick(PIECES.len(), random)].repeat(bits as usize / 64 + 1),
        1..8 => WORDS[pick(WORDS.len(), random)].to_owned(),
        _ => {
            let shape = INTEGERS[pick(INTEGERS.len(), random)];
            shape.replace('N', &bits.to_string()).replace('D', &(bits / 4).to_string())
        }
    })
}

/// An index below `length`.
pub(crate) fn pick(length: usize, random: &mut Random) -> usize {
    random.below(u32::try_from(length).unwrap()) as usize
}
