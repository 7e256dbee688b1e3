"""What the prompts are made of: people, places, subjects, dishes, functions, forms of record."""

PEOPLE = (
    "Maria Santos", "Tom Whitaker", "Aisha Khan", "Oliver Grant", "Mei Chen", "Samuel Okoro",
    "Hannah Fischer", "Diego Morales", "Ingrid Larsen", "Yusuf Demir", "Grace Mwangi", "Pavel Novak",
    "Chloe Martin", "Rajesh Patel", "Emily Carter", "Kenji Watanabe", "Fatima Haddad", "Liam Murphy",
    "Elena Rossi", "Joseph Adeyemi", "Sofia Andersson", "Daniel Cohen", "Lucia Alvarez", "Arthur Bennett",
    "Nadia Petrova", "Peter Lindqvist", "Ruth Goldberg", "Carlos Ferreira", "Amina Diallo",
    "George Papadakis", "Julia Nowak", "Henry Walsh",
)  # fmt: skip

PLACES = (
    "Lisbon", "Leeds", "Nairobi", "Vancouver", "Kyoto", "Galway", "Seville", "Bergen", "Mumbai", "Austin",
    "Accra", "Prague", "Hobart", "Lyon", "Izmir", "Boston", "Cusco", "Dresden", "Penang", "Halifax", "Naples",
    "Tucson", "Bristol", "Riga", "Manila", "Oslo", "Denver", "Cairo", "Porto", "Glasgow", "Hanoi",
    "Quebec City",
)  # fmt: skip

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip

SUBJECTS = (
    "a lighthouse that goes dark", "a lost dog", "a bakery at dawn", "an old violin",
    "a chess game with a stranger", "a letter that arrives forty years late", "a storm at sea",
    "a school play", "a broken clock", "a garden on a roof", "a train that stops between stations",
    "a box found in the attic", "a river crossing", "a football match in the rain",
    "a painting with a secret", "the last day of a shop", "a night in the mountains", "a key without a door",
    "a wedding without a cake", "a fox in the henhouse", "a bicycle race", "a message in a bottle",
    "a power cut", "a grandmother's recipe", "a museum guard at night", "a missing suitcase",
    "a bridge that nobody repairs", "a new neighbour", "a swimming lesson", "a map drawn by a child",
    "a piano in the street", "a snowed-in village",
)  # fmt: skip

OPENINGS = (
    "It was still dark when {first}", "Nobody in {place} had seen", "{first} had never",
    "On the first day of {month},", "The morning after the", '"Wait," said {first},',
    "Every evening {first} walked", "When the rain stopped, {first}", "There was only one",
    "{first} put down the", "The old man at the", "By the time {first} reached",
)  # fmt: skip

EVENTS = (
    "a flood that closed the main bridge", "a new tram line", "a strike of bus drivers",
    "a rare bird seen in a park", "a fire in a furniture factory", "a football club's first title",
    "a rise in house prices", "a school that won a prize", "a record harvest of apples",
    "the reopening of a theatre", "a power cut in two districts", "a plan for a wind farm",
    "a shipwreck found by divers", "the election of a new mayor", "a shortage of nurses",
    "a marathon won by a student", "a bank that closes ten branches", "a discovery of Roman coins",
    "a heatwave", "the price of bread", "a museum that bought a painting", "a lost satellite",
    "a law on dogs in parks", "a company that makes batteries", "a bakery that turned one hundred",
    "a landslide on a railway", "a new vaccine trial", "a court case about noise",
    "a cycling path along the river", "a fishing quota", "a chess tournament",
    "an airport that was closed by snow",
)  # fmt: skip

NEWS_OPENINGS = (
    "Residents of {place}", "Officials said on Monday that", "More than", "The city council", "Police in {place}",
    "A spokesman for", "For the first time in", "Hundreds of people", "The mayor of {place}", "After weeks of",
    "Experts said", "Two years after", "Shopkeepers in {place}", "The local", "Early on Tuesday,", "About",
)  # fmt: skip

QUARRELS = (
    "which film to see", "a lost umbrella", "how to repair a tap", "the menu for a birthday",
    "moving to another city", "a late train", "buying a used car", "a difficult exam", "who feeds the cat",
    "a job interview", "planting tomatoes", "a broken phone", "a trip to the sea",
    "a strange noise in the cellar", "the rules of a card game", "learning to swim", "a borrowed ladder",
    "a bill that is too high", "what to cook tonight", "an old photograph", "a missed appointment",
    "the best way to the station", "a surprise party", "a neighbour's music", "a library book",
    "a pair of shoes",
)  # fmt: skip

RELATIONS = (
    "two friends", "a mother and her son", "a customer and a shopkeeper", "a doctor and a patient",
    "two colleagues", "a teacher and a pupil", "a tourist and a guide", "two neighbours",
    "a grandfather and his granddaughter", "a waiter and a guest", "a landlord and a tenant", "two sisters",
)  # fmt: skip

REASONS = (
    "thanking for a birthday present", "complaining about a washing machine that leaks",
    "inviting to a summer party", "asking for a room for three nights", "telling about a new job",
    "apologising for a broken window", "asking a bank about a fee", "describing a journey by train",
    "congratulating on a new baby", "cancelling a subscription", "asking a school about lessons in music",
    "recommending a former colleague", "telling a grandmother about the first week at university",
    "asking the council to repair a street lamp", "accepting an offer of work", "turning down an invitation",
    "asking an old teacher for advice", "reporting a lost parcel", "thanking a nurse",
    "asking a neighbour to water the plants", "selling a piano", "describing a new flat",
    "asking for a refund for a concert", "planning a walk in the hills",
)  # fmt: skip

DISHES = (
    "lentil soup", "apple pie", "fish stew", "potato salad", "pancakes", "rice pudding", "tomato sauce",
    "vegetable curry", "garlic bread", "chicken with lemon", "bean chili", "mushroom omelette",
    "oat biscuits", "carrot cake", "onion tart", "noodle soup", "stuffed peppers", "plum jam",
    "cheese scones", "roast pumpkin", "chickpea salad", "banana bread",
)  # fmt: skip

TASKS = (
    "repair a bicycle tyre", "plant a tree", "clean a window", "write a letter of application",
    "build a bird box", "paint a door", "sharpen a knife", "make a kite", "train a puppy to sit",
    "tie a bow tie", "start a compost heap", "wash a woollen sweater", "change a light bulb",
    "pack a suitcase", "make candles", "grow tomatoes on a balcony", "learn ten new words a day",
    "read a map", "light a campfire", "set up a tent", "save money each month", "iron a shirt",
    "prepare for a job interview", "unblock a sink", "make paper", "keep bees", "hang a picture",
    "sew on a button",
)  # fmt: skip

FUNCTIONS = (
    ("count_vowels", "text", "counts the vowels in a string"),
    ("is_palindrome", "text", "tells whether a string reads the same backwards"),
    ("celsius_to_fahrenheit", "degrees", "converts a temperature"),
    ("average", "numbers", "returns the mean of a list of numbers"),
    ("longest_word", "sentence", "finds the longest word of a sentence"),
    ("factorial", "n", "computes the factorial of a number"),
    ("fibonacci", "n", "returns the first n Fibonacci numbers"),
    ("remove_duplicates", "items", "removes repeated items and keeps their order"),
    ("read_lines", "path", "reads a file and returns its lines without blanks"),
    ("word_frequencies", "text", "counts how often each word occurs, in a dictionary"),
    ("merge_sorted", "left, right", "merges two sorted lists into one"),
    ("binary_search", "items, target", "finds the position of a value in a sorted list"),
    ("is_prime", "n", "tells whether a number is prime"),
    ("greatest_common_divisor", "a, b", "computes the greatest common divisor"),
    ("flatten", "nested", "flattens a list of lists"),
    ("caesar_cipher", "text, shift", "shifts each letter of a text"),
    ("total_price", "cart, tax_rate", "adds up the prices of a shopping cart, with tax"),
    ("parse_date", "text", "splits a date such as 2024-05-17 into year, month and day"),
    ("transpose", "matrix", "swaps the rows and columns of a matrix"),
    ("bubble_sort", "items", "sorts a list by swapping neighbours"),
    ("validate_email", "address", "checks whether an address of e-mail looks right"),
    ("save_json", "path, data", "writes a dictionary to a JSON file"),
    ("group_by_length", "words", "groups words by their length"),
    ("leap_year", "year", "tells whether a year is a leap year"),
    ("roman_numeral", "number", "writes a number in Roman numerals"),
    ("moving_average", "values, window", "computes a moving average"),
    ("chunk", "items, size", "cuts a list into pieces of one size"),
    ("reverse_words", "sentence", "reverses the order of the words"),
    ("find_maximum", "numbers", "finds the largest number without max()"),
    ("temperature_report", "readings", "prints the lowest, highest and mean reading"),
    ("count_lines", "folder", "counts the lines of all text files in a folder"),
    ("bank_balance", "deposits, withdrawals", "returns the balance of an account and raises an error below zero"),
    ("rock_paper_scissors", "one, two", "says which player wins"),
    ("distance", "x1, y1, x2, y2", "computes the distance of two points"),
    ("invert_dictionary", "mapping", "swaps keys and values"),
    ("random_password", "length", "makes a password of letters and digits"),
    ("second_largest", "numbers", "returns the second largest number"),
    ("prime_factors", "n", "returns the prime factors of a number"),
    ("capitalise_names", "names", "capitalises each name of a list"),
    ("grade", "score", "turns a score from 0 to 100 into a letter"),
)  # fmt: skip

EXTRAS = (
    "and two lines that call it and print the result", "with comments", "with a loop and without a library",
    "and a short test with assert", "that raises ValueError for bad input", "with type hints",
)  # fmt: skip

RECORDS = (
    ("address book", "an address book with four people who live in {place}", "Name: {person}\nStreet:"),
    ("staff list", "a staff list of an office in {place} with four people", "Employee: {person}\nPosition:"),
    ("invoice", "an invoice of a shop in {place} to {person} with five items, amounts, prices and a total",
     "Invoice no. {number}\nDate: {day} {month}\nCustomer: {person}\n\nItem:"),
    ("timetable", "a timetable of trains from {place} with six departures: time, number, destination, platform",
     "Departures from {place}, {day} {month}\n\n{hour}:15 -"),
    ("library card", "the records of five books in a library: title, author, year, shelf", "Title:"),
    ("weather log", "a weather log of {place} for seven days in {month}: date, temperature, wind, sky",
     "{month} {day}:"),
    ("inventory", "an inventory of a tool shed in {place}: eight items with number and condition",
     "Inventory of the tool shed, {place}\n\n1."),
    ("patient file", "the file of a patient called {person}: born, address, complaint, medicine, next visit",
     "Patient: {person}\nBorn: {day} {month}"),
    ("match results", "the results of six football matches in {place}: date, teams, score, spectators",
     "{day} {month}:"),
    ("diary of appointments", "the appointments of {person} for one day in {place}, hour by hour",
     "{day} {month}\n{hour}:00 -"),
    ("catalogue", "a catalogue of five plants: name, Latin name, height, flowers, price", "Name:"),
    ("ship's log", "a ship's log of five days between {place} and another port: day, position, wind, remarks",
     "Day 1, {day} {month}:"),
)  # fmt: skip

TOPICS = (
    "how bees make honey", "why the sky is blue", "the moon and the tides", "volcanoes",
    "the history of paper", "how a bicycle stays upright", "vitamins", "the Roman army", "how vaccines work",
    "the deserts of Africa", "whales", "how bread rises", "the French Revolution", "electric motors",
    "the rules of tennis", "photosynthesis", "glaciers", "how prices are made", "the invention of printing",
    "sleep", "earthquakes", "how a bill becomes law", "coral reefs", "the planets", "why leaves turn red",
    "how to choose a laptop", "learning a language", "the heart", "map projections", "the Silk Road",
    "how steel is made", "migrating birds", "fractions", "the telephone", "how clouds form", "chess",
    "the Olympic Games", "soil", "penguins", "the violin", "how a computer stores numbers", "the compass",
)  # fmt: skip
