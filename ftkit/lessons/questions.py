"""The quiz questions of each lesson. What is asked here is what people get wrong; the exercises ask for more."""

from __future__ import annotations

from ftkit.lessons.quiz import Question

QUESTIONS: dict[str, tuple[Question, ...]] = {
    "00": (
        Question("A fresh head sits on a pretrained body. What does the head know?",
                 "nothing", "Its weights are random. So it has to be trained, even when the body is kept as it is.",
                 {"the classes, from pretraining": "Pretraining never saw them. The head was made a moment ago.",
                  "as much as the body knows of the language": "It was not part of the pretrained network."}),
        Question("You freeze the body and train. What changes?",
                 "the head only", "Frozen weights get no gradient, and ftkit checks bit by bit that none moved.",
                 {"nothing": "The head still trains.",
                  "the body, but slowly": "A frozen layer does not move at all. Slow would be a small learning rate."}),
        Question("The same network, once from random weights and once pretrained, is trained on the same 600 reviews. "
                 "Why is the pretrained one better?",
                 "it brings what it learnt from other text", "600 reviews are too few to learn a language from.",
                 {"it has more parameters": "It is the same network, with as many of them.",
                  "it has seen the test reviews": "Nobody trains on the test split: its number would mean nothing."}),
        Question("How does ft.audit know that a layer stayed as it was?",
                 "it compares its numbers with those before training",
                 "What was meant to happen does not count, only what did.",
                 {"it looks at requires_grad":
                      "That is what was meant. With a stale gradient, a layer moves all the same.",
                  "it looks at the accuracy on the validation split": "Accuracy can stay while weights move."}),
    ),
    "01": (
        Question("Why does the tokenizer cut a rare word into pieces?",
                 "a limited vocabulary can then write every word",
                 "The pieces are known to the model even if the word is not.",
                 {"to make the text shorter": "It gets longer: one word becomes several pieces.",
                  "rare words mean little, so their pieces are enough": "They often mean the most: 'inedible', say."}),
        Question("The validation accuracy was highest in epoch 3; the training loss fell until epoch 6. Which weights "
                 "do you keep?",
                 "those of epoch 3", "What counts is how the model does on texts it was not trained on.",
                 {"those of epoch 6": "They fit the training texts better, and new ones worse.",
                  "the mean of all epochs": "The early epochs were worse in every way."}),
        Question("The optimizer was made from the head alone; then you set requires_grad = True on a block. What "
                 "happens?",
                 "the block gets gradients and never moves", "The optimizer moves only what it was given.",
                 {"the block trains": "Gradients alone move nothing: the optimizer does not know the block.",
                  "an error, because the optimizer does not know it":
                      "That would be kind. It trains on silently, without the block."}),
        Question("Why does a pretrained body get a smaller learning rate than a fresh head?",
                 "large steps would destroy what it already knows",
                 "The head knows nothing yet and may take large ones.",
                 {"it has more layers, so the steps would add up":
                      "From random weights, the same layers take larger steps.",
                  "it saves memory": "The learning rate changes no memory."}),
    ),
    "03": (
        Question("Your own pictures go into a network that was pretrained on photos. With which mean and deviation are "
                 "they normalised?",
                 "with those of the pretraining", "The first filters were learned for numbers on that scale.",
                 {"with their own, so that their mean is 0":
                      "Then the same grey would be another number in each data set. The filters know one scale.",
                  "with none, if they are drawings": "The network does not know what a drawing is. It knows numbers."}),
        Question("The head alone is trained with augment=\"shift\". Why does each epoch take longer than without?",
                 "frozen layers compute anew in each epoch",
                 "Every epoch shows other pictures, so nothing that was kept would fit.",
                 {"shifting a picture takes longer than the whole network does":
                      "It copies a few numbers. The convolutions take the time.",
                  "the frozen layers now train as well": "They stay frozen. ft.audit would show it."}),
        Question("A network with BatchNorm, in train mode, gets a single picture. With which mean is it normalised?",
                 "with its own", "The mean is that of the batch, and the batch is this picture.",
                 {"with that of the training pictures": "That is eval mode: there the running statistics are used.",
                  "with 0, since one picture has no mean": "It has many pixels, and they have one."}),
        Question("The pretrained network was ahead with ten signs of each kind and with eighty. What did it bring?",
                 "filters for edges, colours and shapes",
                 "It learned them from photos, and signs have edges, colours and shapes too.",
                 {"the signs themselves: there are streets in photos":
                      "None of its 200 kinds of things is a road sign, and these here are drawn.",
                  "a better head": "The head is fresh in both."}),
    ),
    "04": (
        Question("Only the first block and the head train. How long is the way of the gradient?",
                 "through all blocks", "It crosses the frozen ones on its way.",
                 {"as short as for the head alone": "Then the first block would get no gradient.",
                  "half, because half of it is frozen": "Frozen layers on the way have to pass the gradient on."}),
        Question("While a step is being computed you switch a block on. When does it train?",
                 "from the next step on", "Between two steps everything is in order: gradients, optimizer, cache.",
                 {"at once, in the middle of the step": "Half a step with it and half without would be neither.",
                  "in the next epoch": "That would be too late to see anything. A step boundary is enough."}),
        Question("When is the output of the frozen layers computed only once?",
                 "while the first layers are frozen",
                 "Their output is the same in every epoch, and the cache keeps it.",
                 {"whenever any layer of the network is frozen":
                      "Above a layer that trains, the output changes with every step.",
                  "never": "Look at the line 'Saved work' of the playground."}),
        Question("Two strategies reach the same accuracy; one of them has forgotten the old task. Which is better?",
                 "it depends on whether the old task still matters",
                 "Accuracy on the new task is one column of the table, forgetting is another.",
                 {"both are the same": "For the new task only.",
                  "always the one that forgets less": "If nobody needs the old task, speed or memory may decide."}),
    ),
}
