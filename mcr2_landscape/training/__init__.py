"""The one training loop, and its first use: features trained with a rate reduction or with cross-entropy."""

from mcr2_landscape.training.features import FeatureTraining as FeatureTraining
from mcr2_landscape.training.features import train_features as train_features
from mcr2_landscape.training.image_examination import ImageExamination as ImageExamination
from mcr2_landscape.training.image_examination import examine_images as examine_images
from mcr2_landscape.training.image_losses import Classification as Classification
from mcr2_landscape.training.image_losses import ClassTokenRates as ClassTokenRates
from mcr2_landscape.training.image_losses import Completion as Completion
from mcr2_landscape.training.images import ImageTraining as ImageTraining
from mcr2_landscape.training.images import train_images as train_images
from mcr2_landscape.training.loop import fit as fit
from mcr2_landscape.training.losses import FeatureLoss as FeatureLoss
from mcr2_landscape.training.losses import cross_entropy as cross_entropy
from mcr2_landscape.training.losses import mcr2 as mcr2
from mcr2_landscape.training.losses import on_spheres as on_spheres
from mcr2_landscape.training.losses import regularized as regularized
from mcr2_landscape.training.networks import Encoder as Encoder
from mcr2_landscape.training.networks import encode as encode
from mcr2_landscape.training.results import Status as Status
from mcr2_landscape.training.results import Stopped as Stopped
from mcr2_landscape.training.results import Training as Training
from mcr2_landscape.training.transcribers import TranscriptionTraining as TranscriptionTraining
from mcr2_landscape.training.transcribers import train_transcription as train_transcription
from mcr2_landscape.training.transcription import LinearVAE as LinearVAE
from mcr2_landscape.training.transcription import Transcriber as Transcriber
from mcr2_landscape.training.transcription import TranscriptionLoss as TranscriptionLoss
from mcr2_landscape.training.transcription import negative_elbo as negative_elbo
